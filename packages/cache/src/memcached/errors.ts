/** What the memcached client throws by itself. No message holds a password, or a value. */

/** The node can't be asked: not connected, silent for too long, or too much is in flight already. Try later. */
export class MetaUnavailableError extends Error {
  override readonly name = 'MetaUnavailableError';
}

/** The server sent what no memcached sends. The connection was dropped, for nothing after it can be trusted. */
export class MetaProtocolError extends Error {
  override readonly name = 'MetaProtocolError';
}

/**
 * The server refused a command: `kind` is the word of the protocol. CLIENT_ERROR is a flag that this version
 * doesn't know, SERVER_ERROR mostly a value that is too large, ERROR an unknown command.
 */
export class MetaServerError extends Error {
  override readonly name = 'MetaServerError';
  readonly kind: ServerErrorKind;

  constructor(kind: ServerErrorKind, text: string) {
    super(text === '' ? `memcached answered ${kind}.` : `memcached answered ${kind}: ${text}`);
    this.kind = kind;
  }
}

export type ServerErrorKind = 'ERROR' | 'CLIENT_ERROR' | 'SERVER_ERROR';

/** The server doesn't take these credentials, or asks for some. */
export class MetaAuthenticationError extends Error {
  override readonly name = 'MetaAuthenticationError';
}

/** A key, a number or an option that memcached can't take. Thrown before anything is sent. */
export class MetaArgumentError extends Error {
  override readonly name = 'MetaArgumentError';
}

/**
 * The CAS token is of an earlier connection. A restarted server counts from 1 again, so an old token could match
 * what it never saw: nothing was sent; get the item again.
 */
export class MetaTokenError extends Error {
  override readonly name = 'MetaTokenError';
}

/** The server answers, but doesn't know `config get cluster`. Name its nodes with `servers` instead. */
export class NotConfigurationEndpointError extends Error {
  override readonly name = 'NotConfigurationEndpointError';
}
