/**
 * `npm ci`, with what it needs: named missing tools before it starts, headers that are already on
 * the machine, progress while SQLite compiles, and a tail of npm's output with a hint when it
 * fails. Holds: the stamp is removed first and written last, so an interrupted install is redone.
 */
import fs from 'node:fs'
import { run } from './child.mjs'
import { headerEnvironment, missingTools, npmCommand, SetupFailure, tail } from './npm.mjs'
import { at, INSTALL_STAMP, installHash, readOr } from './paths.mjs'
import { say, withProgress } from './progress.mjs'

export function isInstalled() {
  return readOr(INSTALL_STAMP) === installHash()
}

function presentStep() {
  const compiling = fs.existsSync(at('node_modules/better-sqlite3/build'))
  if (fs.existsSync(at('node_modules/better-sqlite3/build/Release/better_sqlite3.node'))) {
    return 'finishing the install'
  }
  return compiling ? 'compiling SQLite, about 90 s in all' : 'fetching packages'
}

function hintFor(output) {
  if (/ENOSPC/.test(output)) return 'The disk is full.'
  if (/EACCES|EPERM/.test(output)) {
    return "A file could not be written: does this checkout, or npm's cache, belong to another user?"
  }
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET/.test(output)) {
    return 'A download failed. Check the network, the proxy settings and `npm config get registry`.'
  }
  if (/gyp ERR|node-gyp/.test(output)) {
    return "SQLite did not compile. It takes python3, make and a C++20 compiler (g++ 10 or newer), and Node's headers."
  }
  return 'Run `npm ci` by hand to see all of its output.'
}

/** The compiled SQLite must load in this Node: a wrong one would fail later and less clearly. */
async function verify() {
  const code = "new (require('better-sqlite3'))(':memory:').prepare('select 1').get()"
  const tried = await run(process.execPath, ['-e', code], { cwd: at('.') })
  if (tried.code === 0) return
  throw new SetupFailure(
    `${tail(tried.output)}\n\nThe install ended well, but SQLite does not load. Is \`ignore-scripts\` set ` +
      'in your npm configuration? Then SQLite was not compiled.',
  )
}

export async function install() {
  const missing = missingTools()
  if (missing.length > 0) {
    throw new SetupFailure(
      `${missing.join(', ')} not found. SQLite and our addon are compiled, which takes python3, make and g++.\n` +
        'On Debian or Ubuntu: apt-get install python3 make g++. Nothing has been changed.',
    )
  }
  fs.rmSync(INSTALL_STAMP, { force: true })
  const started = Date.now()
  const [command, prefixArgs] = npmCommand()
  const args = [...prefixArgs, 'ci', '--include=dev', '--no-audit', '--no-fund', '--no-progress']
  const env = headerEnvironment()
  const done = await withProgress(presentStep, () => run(command, args, { cwd: at('.'), env }))
  if (done.code !== 0) {
    throw new SetupFailure(
      `${tail(done.output)}\n\nnpm ci failed (exit code ${done.code}). ${hintFor(done.output)}\n` +
        'Run the same command again when that is mended: the install starts afresh.',
    )
  }
  await verify()
  fs.writeFileSync(INSTALL_STAMP, installHash())
  say(`packages installed (${Math.round((Date.now() - started) / 1000)} s)`)
}
