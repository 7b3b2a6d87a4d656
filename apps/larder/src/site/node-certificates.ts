/** Certificates for nodes, from the service's own authority. */
import { isIP } from 'node:net';
import type { NodeCertificates } from '@larder/fleet/process-host';
import type { Authority } from '@larder/fleet/tls/authority';

/** Renewed when a month of it is left. */
const certificateLifeMs = 120 * 24 * 3_600_000;
const longestCommonName = 64;

export function nodeCertificates(authority: Authority): NodeCertificates {
  return {
    async issue(nodeId, addresses) {
      const { certificatePem, keyPem } = await authority.issue({
        commonName: nodeId.slice(0, longestCommonName),
        addresses: addresses.filter((each) => isIP(each) !== 0),
        dnsNames: addresses.filter((each) => isIP(each) === 0),
        lifeMs: certificateLifeMs,
      });
      return { certificatePem, keyPem, authorityPem: authority.certificatePem };
    },
  };
}
