/** The replication group under the shop, as the sale sees it: over the AWS API and over its endpoint only. */

export interface CacheEndpoint {
  readonly host: string;
  readonly port: number;
}

export interface CacheMember {
  readonly id: string;
  readonly role: 'primary' | 'replica' | 'unknown';
  readonly endpoint: CacheEndpoint;
}

export interface CacheEvent {
  readonly atMs: number;
  readonly message: string;
}

export interface CacheGroup {
  readonly engineVersion: string;
  /** Stays the same through a failover. */
  readonly primaryEndpoint: CacheEndpoint;
  members(): Promise<readonly CacheMember[]>;
  /** The service's own record since `fromMs`, oldest first. */
  eventsSince(fromMs: number): Promise<readonly CacheEvent[]>;
}
