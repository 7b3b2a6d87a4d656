/**
 * (pure) Which family of metrics each command counts in, and whether it reads, writes or has no key: what `COMMAND DOCS` and
 * `COMMAND` of Redis 7.0 to Valkey 9.1 tell together. A command of a module is known by what its name begins with.
 */

export const commandFamilies = [
  'cluster',
  'eval',
  'geospatial',
  'hash',
  'hyperloglog',
  'json',
  'key',
  'list',
  'pubsub',
  'search',
  'set',
  'sorted-set',
  'stream',
  'string',
] as const;
export type CommandFamily = (typeof commandFamilies)[number];
export type CommandAccess = 'read' | 'write';

export interface CommandClass {
  readonly family?: CommandFamily;
  readonly access?: CommandAccess;
  readonly hasKey: boolean;
}

/** Bitmaps are strings, and transactions no family. */
const byFamily: Partial<Record<CommandFamily, string>> = {
  cluster: `
    asking clusterscan cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|cancelslotmigrations
    cluster|count-failure-reports cluster|countkeysinslot cluster|delslots cluster|delslotsrange
    cluster|failover cluster|flushslot cluster|flushslots cluster|forget cluster|getkeysinslot
    cluster|getslotmigrations cluster|help cluster|info cluster|keyslot cluster|links cluster|meet
    cluster|migrateslots cluster|myid cluster|myshardid cluster|nodes cluster|replicas cluster|replicate
    cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves
    cluster|slot-stats cluster|slots cluster|syncslots readonly readwrite`,
  eval: `
    eval eval_ro evalsha evalsha_ro fcall fcall_ro function|delete function|dump function|flush
    function|help function|kill function|list function|load function|restore function|stats script|debug
    script|exists script|flush script|help script|kill script|load script|show`,
  geospatial: `
    geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch
    geosearchstore`,
  hash: `
    hdel hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby hincrbyfloat hkeys hlen
    hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset hsetex hsetnx hstrlen
    httl hvals`,
  hyperloglog: `
    pfadd pfcount pfdebug pfmerge pfselftest`,
  key: `
    copy del dump exists expire expireat expiretime keys migrate move object|encoding object|freq
    object|help object|idletime object|refcount persist pexpire pexpireat pexpiretime pttl randomkey rename
    renamenx restore scan sort sort_ro touch ttl type unlink wait waitaof`,
  list: `
    blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem
    lset ltrim rpop rpoplpush rpush rpushx`,
  pubsub: `
    psubscribe publish pubsub|channels pubsub|help pubsub|numpat pubsub|numsub pubsub|shardchannels
    pubsub|shardnumsub punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe`,
  set: `
    sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop
    srandmember srem sscan sunion sunionstore`,
  'sorted-set': `
    bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore
    zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank
    zrem zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank
    zscan zscore zunion zunionstore`,
  stream: `
    xack xadd xautoclaim xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy
    xgroup|help xgroup|setid xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xpending xrange xread
    xreadgroup xrevrange xsetid xtrim`,
  string: `
    append bitcount bitfield bitfield_ro bitop bitpos decr decrby delifeq get getbit getdel getex getrange
    getset incr incrby incrbyfloat lcs mget mset msetex msetnx psetex set setbit setex setnx setrange strlen
    substr`,
};

const byAccess: Record<CommandAccess, string> = {
  read: `
    bitcount bitfield_ro bitpos clusterscan dbsize dump eval_ro evalsha_ro exists expiretime fcall_ro
    geodist geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists
    hexpiretime hget hgetall hkeys hlen hmget hpexpiretime hpttl hrandfield hscan hstrlen httl hvals keys
    lcs lindex llen lolwut lpos lrange memory|usage mget object|encoding object|freq object|idletime
    object|refcount pexpiretime pfcount pttl randomkey scan scard sdiff sinter sintercard sismember smembers
    smismember sort_ro srandmember sscan strlen substr sunion touch ttl type xinfo|consumers xinfo|groups
    xinfo|stream xlen xpending xrange xread xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore
    zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank
    zscan zscore zunion`,
  write: `
    append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin cluster|flushslot
    copy decr decrby del delifeq expire expireat flushall flushdb function|delete function|flush
    function|load function|restore geoadd georadius georadiusbymember geosearchstore getdel getex getset
    hdel hexpire hexpireat hgetdel hgetex hincrby hincrbyfloat hmset hpersist hpexpire hpexpireat hset
    hsetex hsetnx incr incrby incrbyfloat linsert lmove lmpop lpop lpush lpushx lrem lset ltrim migrate move
    mset msetex msetnx persist pexpire pexpireat pfadd pfdebug pfmerge psetex rename renamenx restore
    restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set setbit setex setnx setrange sinterstore
    smove sort spop srem sunionstore swapdb unlink xack xadd xautoclaim xclaim xdel xgroup|create
    xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid xreadgroup xsetid xtrim zadd
    zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem zremrangebylex zremrangebyrank
    zremrangebyscore zunionstore`,
};

const withoutKey = `
    acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save
    acl|setuser acl|users acl|whoami asking auth bgrewriteaof bgsave client|caching client|capa
    client|getname client|getredir client|help client|id client|import-source client|info client|kill
    client|list client|no-evict client|no-touch client|pause client|reply client|setinfo client|setname
    client|tracking client|trackinginfo client|unblock client|unpause cluster|addslots cluster|addslotsrange
    cluster|bumpepoch cluster|cancelslotmigrations cluster|count-failure-reports cluster|countkeysinslot
    cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslot cluster|flushslots
    cluster|forget cluster|getkeysinslot cluster|getslotmigrations cluster|help cluster|info cluster|keyslot
    cluster|links cluster|meet cluster|migrateslots cluster|myid cluster|myshardid cluster|nodes
    cluster|replicas cluster|replicate cluster|reset cluster|saveconfig cluster|set-config-epoch
    cluster|setslot cluster|shards cluster|slaves cluster|slot-stats cluster|slots cluster|syncslots
    commandlog|get commandlog|help commandlog|len commandlog|reset command|count command|docs
    command|getkeys command|getkeysandflags command|help command|info command|list config|get config|help
    config|resetstat config|rewrite config|set dbsize debug discard echo exec failover flushall flushdb
    function|delete function|dump function|flush function|help function|kill function|list function|load
    function|restore function|stats hello info keys lastsave latency|doctor latency|graph latency|help
    latency|histogram latency|history latency|latest latency|reset lolwut memory|doctor memory|help
    memory|malloc-stats memory|purge memory|stats module|help module|list module|load module|loadex
    module|unload monitor multi object|help pfselftest ping psubscribe psync publish pubsub|channels
    pubsub|help pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub punsubscribe quit
    randomkey readonly readwrite replconf replicaof reset role save scan script|debug script|exists
    script|flush script|help script|kill script|load script|show select shutdown slaveof slowlog|get
    slowlog|help slowlog|len slowlog|reset subscribe swapdb sync time unsubscribe unwatch wait waitaof
    xgroup|help xinfo|help`;

/** Of modules: their writing commands, in part by how they begin. */
const writingModuleCommands =
  /^(?:json\.(?:set|mset|merge|del|forget|arr(?:append|insert|pop|trim)|clear|num(?:incr|mult)by|strappend|toggle)|ft\.(?:create|dropindex|alter))/;

const classes = new Map<string, CommandClass>();
const words = (text: string) => text.trim().split(/\s+/);
const families = new Map(
  Object.entries(byFamily).flatMap(([family, text]) =>
    words(text).map((name) => [name, family as CommandFamily] as const),
  ),
);
const accesses = new Map(
  Object.entries(byAccess).flatMap(([access, text]) =>
    words(text).map((name) => [name, access as CommandAccess] as const),
  ),
);
const keyless = new Set(words(withoutKey));

/** @param name as `commandstats` has it: in small letters, a subcommand behind a bar. */
export function classOfCommand(name: string): CommandClass {
  let known = classes.get(name);
  if (known === undefined) {
    known = classify(name);
    // Bounded: names come from the engine, which may have modules.
    if (classes.size < 2_000) classes.set(name, known);
  }
  return known;
}

function classify(name: string): CommandClass {
  const module = /^(json|ft)\./.exec(name)?.[1];
  if (module !== undefined) {
    const access = writingModuleCommands.test(name) ? 'write' : 'read';
    return { family: module === 'json' ? 'json' : 'search', access, hasKey: module === 'json' };
  }
  const family = families.get(name);
  const access = accesses.get(name);
  return {
    ...(family !== undefined && { family }),
    ...(access !== undefined && { access }),
    hasKey: !keyless.has(name),
  };
}
