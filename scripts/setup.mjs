/**
 * The set-up: packages and dist/, made when they are not there or out of date, and nothing
 * otherwise. Every npm script calls it first, so each of them can be the first command in a fresh
 * clone.
 */
import './setup/require-node.mjs'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, isBuilt } from './setup/build.mjs'
import { releaseSignals } from './setup/child.mjs'
import { install, isInstalled, SetupFailure } from './setup/install.mjs'
import { withLock } from './setup/lock.mjs'

/**
 * Returns when everything is in place; ends the process, with the reason, when that cannot be.
 * `compiled: false` is for what works on the sources, and must run when they do not compile.
 */
export async function setup({ compiled = true } = {}) {
  const isReady = () => isInstalled() && (!compiled || isBuilt())
  if (isReady()) return
  try {
    await withLock(async () => {
      if (!isInstalled()) await install()
      if (!isReady()) await build()
    })
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error
    process.stderr.write(`\n${error.message}\n`)
    process.exit(1)
  }
  releaseSignals()
}

if (realpathSync(process.argv[1] ?? '.') === fileURLToPath(import.meta.url)) await setup()
