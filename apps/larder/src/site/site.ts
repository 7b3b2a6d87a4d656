/** Where a service's nodes run: on the machine that it runs on itself, or on hosts that joined it. */
import type { ControlPlane } from '@larder/control/control-plane';
import type { Placement } from '@larder/control/placement/placement';
import type { Host } from '@larder/fleet/host';
import type { RouterClient } from '@larder/fleet/router/router-client';

export interface Site {
  readonly host: Host;
  readonly router: Pick<RouterClient, 'put' | 'ready' | 'recorded' | 'routes'>;
  /** Where clients of Sentinel are served. */
  readonly sentinel?: Pick<RouterClient, 'putMaster' | 'masters'>;
  readonly placement: Placement;
  /** Called once the control plane runs. */
  begin(control: Pick<ControlPlane, 'wakeHost'>): Promise<void>;
  /** Lets go of everything; nodes run on. */
  close(): Promise<void>;
}
