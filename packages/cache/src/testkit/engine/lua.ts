/**
 * The engine's scripting: the real Lua source, in fengari, with Redis's bridges.
 *
 * fengari speaks Lua 5.3 with 32-bit integers, the engines 5.1 with doubles alone. So no integer is let in: numerals
 * of the source become floats, `tonumber` and every bridge give floats, and a float without fraction prints without
 * `.0`, as in 5.1. `unpack`, `loadstring`, `table.getn` and `math.pow` are given back. (What still
 * differs: `string.format` rounds a tie away from zero.)
 *
 * One machine serves all engines of a process: a script runs to its end within one call, and keeps nothing.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Fengari, LuaState } from 'fengari';
import { decodeJson, encodeJson } from './lua-cjson.ts';
import { pack, unpack } from './lua-struct.ts';
import { numberText } from './number-text.ts';
import { EngineError, type Reply, Status } from './reply.ts';

/** A value on its way into or out of Lua. Tables are lists, or fields of text. */
export type LuaValue =
  | null
  | boolean
  | number
  | Buffer
  | readonly LuaValue[]
  | { readonly [field: string]: LuaValue };

/** Runs a command for a script. Throws EngineError. */
export type Call = (args: readonly Buffer[]) => Reply;

const prelude = `
unpack, loadstring, table.getn, math.pow = table.unpack, load, function(t) return #t end, function(a, b) return a ^ b end
local tonumber53, type = tonumber, type
function tonumber(value, base)
  if base == nil then local n = tonumber53(value) return n and n + 0.0 end
  return __parse(value, base)
end
redis = {
  call = function(...)
    local reply = __call(...)
    if type(reply) == 'table' and reply.err then error(reply, 0) end
    return reply
  end,
  pcall = function(...) return __call(...) end,
  error_reply = function(text) return { err = text } end,
  status_reply = function(text) return { ok = text } end,
  sha1hex = __sha1hex,
  log = function() end,
  replicate_commands = function() return true end,
  setresp = function() end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
}
server = redis
struct = { pack = __pack, unpack = __unpack }
cjson = { encode = __encode, decode = __decode, null = __null }
os, io, require, dofile, loadfile, package, debug, print = { clock = os.clock }
`;

export class LuaMachine {
  readonly #fengari: Fengari;
  readonly #state: LuaState;
  readonly #compiled = new Map<string, number>();
  #call: Call = () => null;

  constructor() {
    this.#fengari = loadFengari();
    const { lauxlib, lualib } = this.#fengari;
    this.#state = lauxlib.luaL_newstate();
    lualib.luaL_openlibs(this.#state);
    this.#give('__call', (args) => [this.#redisCall(args)]);
    this.#give('__parse', ([text, base]) => [parseInBase(text, base)]);
    this.#give('__sha1hex', ([text]) => [Buffer.from(sha1Hex(asBytes(text)))]);
    this.#give('__pack', ([format, ...values]) => [pack(asBytes(format), values)]);
    this.#give('__unpack', ([format, bytes, at]) => unpack(asBytes(format), asBytes(bytes), at));
    this.#give('__encode', ([value]) => [encodeJson(value ?? null)]);
    this.#give('__decode', ([text]) => [decodeJson(asBytes(text))]);
    this.#give('__null', () => [null]);
    this.#load(Buffer.from(prelude), 'prelude');
    this.#protected(0);
  }

  /** Runs a script to its end. Throws EngineError for its own errors and those of its commands. */
  run(source: Buffer, sha1: string, keys: readonly Buffer[], args: readonly Buffer[], call: Call): Reply {
    const { lua, lauxlib } = this.#fengari;
    const L = this.#state;
    let reference = this.#compiled.get(sha1);
    if (reference === undefined) {
      this.#load(floatsOnly(source), 'user_script');
      reference = lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX);
      this.#compiled.set(sha1, reference);
    }
    this.#push(keys);
    lua.lua_setglobal(L, utf8('KEYS'));
    this.#push(args);
    lua.lua_setglobal(L, utf8('ARGV'));
    this.#call = call;
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, reference);
    try {
      this.#protected(1);
      return this.#replyAt(-1);
    } finally {
      lua.lua_settop(L, 0);
    }
  }

  #load(source: Buffer, name: string): void {
    const { lua, lauxlib } = this.#fengari;
    const failed =
      lauxlib.luaL_loadbuffer(this.#state, source, source.length, utf8(`@${name}`)) !== lua.LUA_OK;
    if (failed) throw new EngineError(`ERR Error compiling script (new function): ${this.#takeError()}`);
  }

  #protected(results: number): void {
    const { lua } = this.#fengari;
    if (lua.lua_pcall(this.#state, 0, results, 0) === lua.LUA_OK) return;
    const text = this.#takeError();
    // An error that a command raised carries its own code.
    throw new EngineError(/^[A-Z]{2,} /.test(text) ? text : `ERR ${text}`);
  }

  #takeError(): string {
    const value = this.#valueAt(-1, 0);
    this.#fengari.lua.lua_settop(this.#state, 0);
    if (Buffer.isBuffer(value)) return value.toString('utf8');
    const message = (value as { readonly err?: unknown } | null)?.err;
    return Buffer.isBuffer(message)
      ? message.toString('utf8')
      : 'The script raised something that is no text.';
  }

  #give(name: string, run: (args: LuaValue[]) => readonly LuaValue[]): void {
    const { lua } = this.#fengari;
    lua.lua_pushcfunction(this.#state, (L) => {
      const args: LuaValue[] = [];
      for (let i = 1; i <= lua.lua_gettop(L); i += 1) args.push(this.#valueAt(i, 0));
      let results: readonly LuaValue[];
      try {
        results = run(args);
      } catch (error) {
        this.#push(Buffer.from(error instanceof Error ? error.message : String(error)));
        return lua.lua_error(L);
      }
      for (const result of results) this.#push(result);
      return results.length;
    });
    lua.lua_setglobal(this.#state, utf8(name));
  }

  #redisCall(args: readonly LuaValue[]): LuaValue {
    const words = args.map((arg) => {
      if (Buffer.isBuffer(arg)) return arg;
      if (typeof arg === 'number') return Buffer.from(numberText(arg, 17));
      throw new Error('Lua redis lib command arguments must be strings or integers');
    });
    if (words.length === 0) throw new Error('Please specify at least one argument for this redis.call()');
    try {
      return toLua(this.#call(words));
    } catch (error) {
      if (error instanceof EngineError) return { err: Buffer.from(error.message) };
      throw error;
    }
  }

  #push(value: LuaValue): void {
    const { lua } = this.#fengari;
    const L = this.#state;
    if (value === null) lua.lua_pushnil(L);
    else if (typeof value === 'boolean') lua.lua_pushboolean(L, value);
    else if (typeof value === 'number') lua.lua_pushnumber(L, value);
    else if (Buffer.isBuffer(value)) lua.lua_pushstring(L, value);
    else if (Array.isArray(value)) {
      const list = value as readonly LuaValue[];
      lua.lua_createtable(L, list.length, 0);
      for (const [index, part] of list.entries()) {
        this.#push(part);
        lua.lua_rawseti(L, -2, index + 1);
      }
    } else {
      const fields = Object.entries(value as { readonly [field: string]: LuaValue });
      lua.lua_createtable(L, 0, fields.length);
      for (const [field, part] of fields) {
        this.#push(part);
        lua.lua_setfield(L, -2, utf8(field));
      }
    }
  }

  /** Tables come out as lists, or with the fields `err` and `ok` alone. */
  #valueAt(index: number, depth: number): LuaValue {
    const { lua } = this.#fengari;
    const L = this.#state;
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(L, index);
      case lua.LUA_TNUMBER:
        return lua.lua_tonumber(L, index);
      case lua.LUA_TSTRING:
        return Buffer.from(lua.lua_tostring(L, index)!);
      case lua.LUA_TTABLE:
        return this.#tableAt(index, depth);
      default:
        return null;
    }
  }

  #tableAt(index: number, depth: number): LuaValue {
    const { lua } = this.#fengari;
    const L = this.#state;
    if (depth > 32) throw new Error('A table is nested too deeply.');
    const at = index < 0 ? lua.lua_gettop(L) + index + 1 : index;
    for (const field of ['err', 'ok']) {
      const type = lua.lua_getfield(L, at, utf8(field));
      const value = type === lua.LUA_TSTRING ? this.#valueAt(-1, depth + 1) : null;
      lua.lua_settop(L, -2);
      if (value !== null) return { [field]: value };
    }
    const list: LuaValue[] = [];
    for (let i = 1; ; i += 1) {
      const type = lua.lua_rawgeti(L, at, i);
      const value = this.#valueAt(-1, depth + 1);
      lua.lua_settop(L, -2);
      // A reply ends at its first nil.
      if (type === lua.LUA_TNIL) return list;
      list.push(value);
    }
  }

  #replyAt(index: number): Reply {
    return toReply(this.#valueAt(index, 0));
  }
}

function toReply(value: LuaValue): Reply {
  if (value === null || value === false) return null;
  if (value === true) return 1;
  if (typeof value === 'number') return Math.trunc(value);
  if (Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return (value as readonly LuaValue[]).map(toReply);
  const { err, ok } = value as { readonly err?: Buffer; readonly ok?: Buffer };
  if (err !== undefined) throw new EngineError(err.toString('utf8'));
  return new Status(ok!.toString('utf8'));
}

function toLua(reply: Reply): LuaValue {
  if (reply === null) return false;
  if (typeof reply === 'number' || Buffer.isBuffer(reply)) return reply;
  if (reply instanceof Status) return { ok: Buffer.from(reply.text) };
  return (reply as readonly Reply[]).map(toLua);
}

/** Numerals outside strings and comments get a fraction, so that they are floats. */
function floatsOnly(source: Buffer): Buffer {
  const pattern =
    /--\[(=*)\[[\s\S]*?\]\1\]|--[^\n]*|\[(=*)\[[\s\S]*?\]\2\]|'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"|[A-Za-z_]\w*|0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?/g;
  const text = source.toString('latin1').replace(pattern, (part) => {
    if (/^0[xX]/.test(part)) return `${Number(part)}.0`;
    return /^\d+$/.test(part) ? `${part}.0` : part;
  });
  return Buffer.from(text, 'latin1');
}

/** `tonumber` with a base, as 5.1 has it: unsigned 32 bits are not wrapped. */
function parseInBase(text: LuaValue | undefined, base: LuaValue | undefined): number | null {
  const digits = (Buffer.isBuffer(text) ? text.toString('latin1') : String(text)).trim().toLowerCase();
  const radix = Number(base);
  const allowed = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, radix);
  if (digits === '' || [...digits].some((digit) => !allowed.includes(digit))) return null;
  return Number.parseInt(digits, radix);
}

function asBytes(value: LuaValue | undefined): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'number') return Buffer.from(numberText(value, 14));
  throw new Error('bad argument: string expected');
}

const names = new Map<string, Uint8Array>();

/** fengari hashes its strings: the same bytes every time. */
function utf8(text: string): Uint8Array {
  let bytes = names.get(text);
  if (bytes === undefined) {
    bytes = Buffer.from(text);
    names.set(text, bytes);
  }
  return bytes;
}

function loadFengari(): Fengari {
  const require = createRequire(import.meta.url);
  try {
    // Its own definitions first: the two files need each other.
    require('fengari/src/defs.js');
    const configuration = require('fengari/src/luaconf.js') as {
      LUA_COMPAT_FLOATSTRING: boolean;
      lua_number2str: (value: number) => string;
    };
    configuration.LUA_COMPAT_FLOATSTRING = true;
    configuration.lua_number2str = (value) => numberText(value, 14);
    return require('fengari') as Fengari;
  } catch (cause) {
    throw new Error('The in-memory engine runs its scripts in fengari: npm install --save-dev fengari', {
      cause,
    });
  }
}

export function sha1Hex(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}
