// Lives beside bench/node_modules, so that names are looked up there: the build lies elsewhere.
/** @param {string} name @returns {Promise<unknown>} */
export const importFromHere = (name) => import(name);
