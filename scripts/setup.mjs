/**
 * The set-up: packages, the native addon and dist/, made when they are not there or out of date, and
 * nothing otherwise. Every npm script calls it first, so each of them can be the first command in a
 * fresh clone.
 */
import './setup/require-node.mjs'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildAddon, isAddonBuilt } from './setup/addon.mjs'
import { build, isBuilt } from './setup/build.mjs'
import { releaseSignals } from './setup/child.mjs'
import { install, isInstalled } from './setup/install.mjs'
import { withLock } from './setup/lock.mjs'
import { SetupFailure } from './setup/npm.mjs'

/**
 * Returns when everything is in place; ends the process, with the reason, when that cannot be.
 * `compiled: false` is for what works on the sources of src/, and must run when they do not compile;
 * its tests need the addon all the same.
 */
export async function setup({ compiled = true } = {}) {
  const isReady = () => isInstalled() && isAddonBuilt() && (!compiled || isBuilt())
  if (isReady()) return
  try {
    await withLock(async () => {
      if (!isInstalled()) await install()
      if (!isAddonBuilt()) await buildAddon()
      if (compiled && !isBuilt()) await build()
    })
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    process.stderr.write(`\n${error.message}\n`)
    process.exit(1)
  }
  releaseSignals()
}

if (realpathSync(process.argv[1] ?? '.') === fileURLToPath(import.meta.url)) await setup()
