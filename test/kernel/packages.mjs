/**
 * What this tier needs of the machine, and installs where it may. Holds: what cannot be had, at all
 * or in the time that there is, is `Unavailable` with its reason, and the tier is skipped for it;
 * anything else that fails is an error, so that no bug hides as a skip.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { run } from '../../scripts/setup/child.mjs'
import { tail } from '../../scripts/setup/npm.mjs'

/** Of one command. */
const INSTALL_MS = 3 * 60_000

/** A reason to skip. */
export class Unavailable extends Error {}

/** What runs the machine: the program's path or name -> Debian's package. */
const TO_RUN = new Map([
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['/bin/busybox', 'busybox-static'],
])
/** What builds its kernel. */
const TO_BUILD = new Map([
  ...['gcc', 'make', 'flex', 'bison', 'bc', 'lz4', 'kmod', 'tar'].map((name) => [name, name]),
  ['xz', 'xz-utils'],
  ['/usr/include/gelf.h', 'libelf-dev'],
])

function isThere(program) {
  if (program === '/bin/busybox') return isStatic(program)
  if (path.isAbsolute(program)) return fs.existsSync(program)
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  return folders.some((folder) => fs.existsSync(path.join(folder, program)))
}

/** Whether the program needs no library: its headers name no interpreter. */
function isStatic(program) {
  if (!fs.existsSync(program)) return false
  return !fs.readFileSync(program).subarray(0, 4096).includes('/ld-linux')
}

async function need(programs) {
  const missing = [...programs].filter(([program]) => !isThere(program))
  if (missing.length === 0) return
  const packages = missing.map(([, name]) => name).join(' ')
  if (process.getuid?.() !== 0) throw new Unavailable(`it takes root to install ${packages}`)
  if (!isThere('apt-get')) throw new Unavailable(`it needs ${packages}, and there is no apt-get`)
  // A source of packages that is out of reach need not be the one that has them.
  await aptGet(['update']).catch(() => undefined)
  await aptGet(['install', '-y', '--no-install-recommends', ...missing.map(([, name]) => name)])
  const still = missing.filter(([program]) => !isThere(program)).map(([program]) => program)
  if (still.length > 0) throw new Error(`installed, and still missing: ${still.join(', ')}`)
}

/** What apt says when it is the network that fails, and not what was asked for. */
const NETWORK_TROUBLE =
  /could not (resolve|connect)|failed to fetch|temporary failure|unreachable|timed? ?out/i

/** Runs apt-get. @throws Unavailable when the network fails */
export async function aptGet(args, options = {}) {
  const settings = ['DPkg::Lock::Timeout=60', 'APT::Update::Error-Mode=any']
  const command = [...settings.flatMap((setting) => ['-o', setting]), ...args]
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const done = await run('apt-get', command, { ...options, env, timeoutMs: INSTALL_MS })
  if (done.code === 0) return
  if (done.timedOut) throw new Unavailable(`apt-get took longer than ${INSTALL_MS / 1000} s`)
  const trouble = done.output.split('\n').find((line) => NETWORK_TROUBLE.test(line))
  if (trouble !== undefined) throw new Unavailable(`apt-get cannot reach Debian: ${trouble.trim()}`)
  throw new Error(`apt-get ${args.join(' ')} failed:\n${tail(done.output)}`)
}

/** @throws Unavailable */
export function needPrograms() {
  if (process.arch === 'x64') return need(TO_RUN)
  throw new Unavailable(`the machine is for x64, and this is ${process.arch}`)
}

/** @throws Unavailable */
export function needBuildPrograms() {
  return need(TO_BUILD)
}

/** Where what took long is kept, outside the checkout. Made when it is not there. */
export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME
  const home = base === undefined || base === '' ? path.join(os.homedir(), '.cache') : base
  const folder = path.join(home, 'pasidd', 'kernel')
  fs.mkdirSync(folder, { recursive: true })
  return folder
}
