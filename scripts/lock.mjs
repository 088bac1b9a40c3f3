/**
 * `node scripts/lock.mjs`, after `npm install PACKAGE@VERSION`: puts package-lock.json into the
 * form that is committed. It names no registry's host (each package is held by its integrity hash),
 * and no optional package that it does not lock: a registry without those of foreign platforms
 * would leave `npm ci` complaining that lock and manifest differ.
 */
import './setup/require-node.mjs'
import fs from 'node:fs'
import { at, readOr } from './setup/paths.mjs'

const lock = JSON.parse(readOr(at('package-lock.json')))
const isLocked = (from, name) => {
  const own = `${from}/node_modules/${name}`
  return own in lock.packages || `node_modules/${name}` in lock.packages
}
for (const [folder, entry] of Object.entries(lock.packages)) {
  delete entry.resolved
  if (folder !== '' && !entry.version)
    throw new Error(`${folder}: no version; run npm install again`)
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (!isLocked(folder, name)) delete entry.optionalDependencies[name]
  }
}
fs.writeFileSync(at('package-lock.json'), `${JSON.stringify(lock, null, 2)}\n`)
