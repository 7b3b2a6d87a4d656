/** One node: its keys, its scripts, and the effects that its replicas receive. */
import { collectionCommands } from './collection-commands.ts';
import { type Command, type Commands, type Context, integer, word } from './command.ts';
import { keyCommands } from './key-commands.ts';
import { Keyspace } from './keyspace.ts';
import { LuaMachine, sha1Hex } from './lua.ts';
import { EngineError, ok, type Reply, wrongArguments } from './reply.ts';
import { sortedSetCommands } from './sorted-set-commands.ts';
import { stringCommands } from './string-commands.ts';

export interface MemoryNodeOptions {
  readonly nowMs: () => number;
  readonly publish: (channel: string, text: string, sharded: boolean) => number;
}

const commands: Commands = { ...keyCommands, ...stringCommands, ...collectionCommands, ...sortedSetCommands };

let machine: LuaMachine | undefined;

export class MemoryNode {
  /** Of a replica: does it receive what the primary does? */
  following = true;
  #replicas: readonly MemoryNode[] = [];
  #takesWrites = true;
  readonly #keys: Keyspace;
  readonly #context: Context;
  readonly #scripts = new Map<string, Buffer>();

  constructor({ nowMs, publish }: MemoryNodeOptions) {
    this.#keys = new Keyspace(nowMs);
    this.#context = {
      keys: this.#keys,
      publish: (channel, message, sharded) => publish(channel, message.toString('utf8'), sharded),
    };
  }

  /** One command, at once and whole. Throws EngineError. */
  execute(words: readonly Buffer[]): Reply {
    const name = word(words[0]);
    const args = words.slice(1);
    switch (name) {
      case 'EVAL':
      case 'EVAL_RO':
        return this.#eval(args[0]!, sha1Hex(args[0]!), args.slice(1));
      case 'EVALSHA':
      case 'EVALSHA_RO': {
        const sha1 = args[0]!.toString('latin1').toLowerCase();
        const source = this.#scripts.get(sha1);
        if (source === undefined) throw new EngineError('NOSCRIPT No matching script. Please use EVAL.');
        return this.#eval(source, sha1, args.slice(1));
      }
      case 'SCRIPT':
        return this.#script(args);
      default: {
        const effects: Effect[] = [];
        try {
          return this.#run(name, args, effects);
        } finally {
          this.#replicate(effects);
        }
      }
    }
  }

  clear(): void {
    this.#keys.clear();
    this.#scripts.clear();
  }

  /** Becomes its replica, with a copy. */
  copyFrom(primary: MemoryNode): void {
    this.#keys.copyFrom(primary.#keys);
    this.following = true;
    this.#takesWrites = false;
    this.#replicas = [];
  }

  /** Is the primary of these from now on. */
  lead(replicas: readonly MemoryNode[]): void {
    this.following = true;
    this.#takesWrites = true;
    this.#replicas = replicas;
  }

  #run(name: string, args: readonly Buffer[], effects: Effect[]): Reply {
    const command = commands[name];
    if (command === undefined) {
      throw new EngineError(`ERR unknown command '${name.toLowerCase()}' (the in-memory engine has no such)`);
    }
    if (args.length < command.least) throw wrongArguments(name);
    if (command.writes) {
      if (!this.#takesWrites) throw new EngineError("READONLY You can't write against a read only replica.");
      effects.push({ command, args });
    }
    return command.run(this.#context, args);
  }

  #eval(source: Buffer, sha1: string, [count, ...rest]: readonly Buffer[]): Reply {
    const keyCount = integer(count);
    if (keyCount < 0 || keyCount > rest.length) {
      throw new EngineError("ERR Number of keys can't be greater than number of args");
    }
    this.#scripts.set(sha1, source);
    machine ??= new LuaMachine();
    const effects: Effect[] = [];
    try {
      return machine.run(source, sha1, rest.slice(0, keyCount), rest.slice(keyCount), ([name, ...args]) =>
        this.#run(word(name), args, effects),
      );
    } finally {
      this.#replicate(effects);
    }
  }

  #script([action, ...args]: readonly Buffer[]): Reply {
    switch (word(action)) {
      case 'LOAD': {
        const sha1 = sha1Hex(args[0]!);
        this.#scripts.set(sha1, args[0]!);
        return Buffer.from(sha1);
      }
      case 'EXISTS':
        return args.map((sha1) => (this.#scripts.has(sha1.toString('latin1').toLowerCase()) ? 1 : 0));
      case 'FLUSH':
        this.#scripts.clear();
        return ok;
      default:
        throw new EngineError(`ERR unknown subcommand '${word(action).toLowerCase()}'`);
    }
  }

  #replicate(effects: readonly Effect[]): void {
    if (effects.length === 0) return;
    for (const replica of this.#replicas) {
      if (!replica.following) continue;
      for (const { command, args } of effects) command.run(replica.#silent(), args);
    }
  }

  /** A replica tells nobody: its messages went out where the command was first run. */
  #silent(): Context {
    return { keys: this.#keys, publish: () => 0 };
  }
}

interface Effect {
  readonly command: Command;
  readonly args: readonly Buffer[];
}
