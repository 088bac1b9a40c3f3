/**
 * Compiles native/ (the addon that makes our system calls) when a source of it, or Node, has
 * changed, with the node-gyp that npm brings. Holds: the stamp is removed first and written last;
 * what is built loads in this Node.
 */
import fs from 'node:fs'
import { run } from './child.mjs'
import { headerEnvironment, missingTools, npmCommand, SetupFailure, tail } from './npm.mjs'
import { ADDON_STAMP, addonHash, at, readOr } from './paths.mjs'
import { say, withProgress } from './progress.mjs'

const ADDON = at('native/build/Release/pasidd.node')

export function isAddonBuilt() {
  return readOr(ADDON_STAMP) === addonHash() && fs.existsSync(ADDON)
}

function hintFor(output) {
  if (/ENOSPC|No space left/.test(output)) return 'The disk is full.'
  if (/EACCES|EPERM|Permission denied/.test(output)) {
    return 'A file could not be written: does this checkout belong to another user?'
  }
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET/.test(output)) {
    return (
      "node-gyp wanted to download Node's headers. Check the network and the proxy settings, or " +
      'set npm_config_nodedir to a folder with include/node/node.h of this very Node.'
    )
  }
  return "It takes python3, make, a C++20 compiler (g++ 10 or newer), and Node's headers."
}

function fail(what, output) {
  throw new SetupFailure(
    `${tail(output)}\n\nThe native addon in native/ ${what}. ${hintFor(output)}\n` +
      'Run the same command again when that is mended.',
  )
}

export async function buildAddon() {
  const missing = missingTools()
  if (missing.length > 0) {
    throw new SetupFailure(
      `${missing.join(', ')} not found. The native addon is compiled with python3, make and g++.\n` +
        'On Debian or Ubuntu: apt-get install python3 make g++.',
    )
  }
  fs.rmSync(ADDON_STAMP, { force: true })
  const hash = addonHash()
  const started = Date.now()
  const [command, prefixArgs] = npmCommand()
  const args = [...prefixArgs, 'run', 'build:native']
  const done = await withProgress(
    () => 'compiling the native addon, about 15 s in all',
    () => run(command, args, { cwd: at('.'), env: headerEnvironment() }),
  )
  if (done.code !== 0) fail('does not compile', done.output)
  const loaded = await run(process.execPath, ['-e', `require(${JSON.stringify(ADDON)})`])
  if (loaded.code !== 0) fail('compiled, but does not load', loaded.output)
  fs.writeFileSync(ADDON_STAMP, hash)
  say(`native addon compiled (${Math.round((Date.now() - started) / 1000)} s)`)
}
