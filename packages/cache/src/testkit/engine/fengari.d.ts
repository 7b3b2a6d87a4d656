/** What is used here of fengari, which brings no types: the C API of Lua over strings that are byte arrays. */
declare module 'fengari' {
  export interface LuaState {
    readonly luaState: unique symbol;
  }
  export interface Lua {
    readonly LUA_OK: number;
    readonly LUA_MULTRET: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    lua_pushnil(L: LuaState): void;
    lua_pushboolean(L: LuaState, value: boolean): void;
    lua_pushnumber(L: LuaState, value: number): void;
    lua_pushstring(L: LuaState, value: Uint8Array): void;
    lua_pushcfunction(L: LuaState, callback: (L: LuaState) => number): void;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_createtable(L: LuaState, list: number, fields: number): void;
    lua_setfield(L: LuaState, index: number, name: Uint8Array): void;
    lua_getfield(L: LuaState, index: number, name: Uint8Array): number;
    lua_rawseti(L: LuaState, index: number, n: number): void;
    lua_rawgeti(L: LuaState, index: number, n: number): number;
    lua_setglobal(L: LuaState, name: Uint8Array): void;
    lua_getglobal(L: LuaState, name: Uint8Array): number;
    lua_gettop(L: LuaState): number;
    lua_settop(L: LuaState, index: number): void;
    lua_type(L: LuaState, index: number): number;
    lua_toboolean(L: LuaState, index: number): boolean;
    lua_tonumber(L: LuaState, index: number): number;
    lua_tostring(L: LuaState, index: number): Uint8Array | null;
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
    lua_error(L: LuaState): number;
  }
  export interface LuaAux {
    luaL_newstate(): LuaState;
    luaL_loadbuffer(L: LuaState, source: Uint8Array, size: number, name: Uint8Array): number;
    luaL_ref(L: LuaState, table: number): number;
  }
  export interface Fengari {
    readonly lua: Lua;
    readonly lauxlib: LuaAux;
    readonly lualib: { luaL_openlibs(L: LuaState): void };
  }
}
