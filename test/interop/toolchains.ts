/**
 * What building a foreign client needs of the machine: commands, packages, and a cache outside the
 * tree. Holds: what cannot be had (no toolchain, no registry) is `Unavailable` with its reason, and
 * a test is skipped for it; anything else that fails is an error, so that no bug hides as a skip.
 */
import { execFile } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const TAIL_LINES = 30
const REASON_CHARACTERS_MAX = 160
/** Builds of other checkouts are kept this long. */
const CACHE_DAYS = 14
const DAY_MS = 86_400_000

/** What the clients of C++, Rust and Go need of Debian: libraries, protoc, the C++ plugin. */
const DEBIAN_PACKAGES = [
  ...['g++', 'make', 'pkg-config', 'libgrpc++-dev'],
  ...['libprotobuf-dev', 'protobuf-compiler', 'protobuf-compiler-grpc'],
]

/** What package clients say when it is the network that fails, and not what was asked for. */
const NETWORK_TROUBLE = [
  /(could not|couldn't|cannot|unable to|failed to) (resolve|connect|fetch|reach)/i,
  /temporary failure|network is unreachable|no route to host|connection (refused|reset)/i,
  /time(d|s)? ?out|dial tcp|no such host|certificate|spurious network error/i,
  /from versions: none/,
]

/** A reason to skip. */
export class Unavailable extends Error {}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Runs a command to its end; answers with its output. @throws with the end of what it said */
export function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = '', ...args] = command
  const env = { ...process.env, ...options.env }
  return new Promise((resolve, reject) => {
    const settings = { cwd: options.cwd, env, maxBuffer: OUTPUT_BYTES_MAX }
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-TAIL_LINES).join('\n')
      reject(new Error(`${command.join(' ')}: ${error.message.split('\n')[0]}\n${said}`))
    })
  })
}

/** For what goes to a registry: when the network is what fails, it is Unavailable. */
export async function fetchWith(
  command: readonly string[],
  options: RunOptions = {},
): Promise<void> {
  try {
    await run(command, options)
  } catch (error) {
    const text = String(error)
    const isTrouble = (line: string) => NETWORK_TROUBLE.some((sign) => sign.test(line))
    const why = text.split('\n').findLast(isTrouble)?.slice(0, REASON_CHARACTERS_MAX)
    if (why === undefined) throw error
    throw new Unavailable(`${path.basename(command[0] ?? '')} cannot reach its registry: ${why}`)
  }
}

export async function works(command: readonly string[], options?: RunOptions): Promise<boolean> {
  return run(command, options).then(
    () => true,
    () => false,
  )
}

/** The version in what `command` prints must be `major.minor` or later. */
export async function requireVersion(
  command: readonly string[],
  needed: readonly [number, number],
): Promise<void> {
  const name = command[0] ?? ''
  const said = await run(command).catch(() => {
    throw new Unavailable(`${name} is not installed`)
  })
  const found = /(\d+)\.(\d+)/.exec(said)
  const [major, minor] = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)]
  if (major > needed[0] || (major === needed[0] && minor >= needed[1])) return
  throw new Unavailable(`${name} is ${major}.${minor}, and ${needed.join('.')} is needed`)
}

/** Of Debian, and how to see that they are there. */
interface Packages {
  readonly names: readonly string[]
  readonly check: string
}

const GRPC: Packages = {
  names: DEBIAN_PACKAGES,
  check: 'pkg-config --exists grpc++ protobuf && command -v protoc grpc_cpp_plugin g++ make',
}

/** For examples/vfio-shim. */
const HTTP2: Packages = {
  names: ['gcc', 'libc6-dev', 'make', 'pkg-config', 'libnghttp2-dev'],
  check: 'pkg-config --exists libnghttp2 && command -v cc make',
}

async function installDebianPackages({ names, check }: Packages): Promise<void> {
  const isThere = () => works(['sh', '-c', check])
  if (await isThere()) return
  const packages = names.join(' ')
  if (process.getuid?.() !== 0) throw new Unavailable(`needs root to install ${packages}`)
  if (!(await works(['apt-get', '--version']))) throw new Unavailable(`needs ${packages}`)
  const apt = ['apt-get', '-y', '-o', 'DPkg::Lock::Timeout=60']
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await fetchWith([...apt, 'update'], { env })
  await fetchWith([...apt, 'install', '--no-install-recommends', ...names], { env })
  if (!(await isThere())) throw new Error(`installed, and still missing: ${packages}`)
}

let debianPackages: Promise<void> | undefined

/** Installs them once, where that is possible. @throws Unavailable */
export function needDebianPackages(): Promise<void> {
  debianPackages ??= installDebianPackages(GRPC)
  return debianPackages
}

/** What the shim for programs of 2020 is built with. @throws Unavailable */
export function needHttp2Packages(): Promise<void> {
  return installDebianPackages(HTTP2)
}

// --- the cache

export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME
  const home = base === undefined || base === '' ? path.join(os.homedir(), '.cache') : base
  const folder = path.join(home, 'pasidd', 'interop')
  fs.mkdirSync(folder, { recursive: true })
  return folder
}

/** Left by build tools that somebody ran by hand. */
const BY_HAND = /^(build|target)\/|__pycache__/

/** All files below the folders, with their content; the order is fixed. */
function hashOf(name: string, inputs: readonly string[]): string {
  const hash = crypto.createHash('sha256').update(name)
  for (const input of inputs) {
    if (!path.isAbsolute(input)) {
      hash.update(`\0${input}`)
      continue
    }
    for (const entry of fs.readdirSync(input, { recursive: true, encoding: 'utf8' }).sort()) {
      const file = path.join(input, entry)
      if (BY_HAND.test(entry)) continue
      if (fs.statSync(file).isFile()) hash.update(`\0${entry}\0`).update(fs.readFileSync(file))
    }
  }
  return hash.digest('hex').slice(0, 20)
}

function forgetOld(folder: string, keep: string): void {
  const before = Date.now() - CACHE_DAYS * DAY_MS
  for (const name of fs.readdirSync(folder)) {
    const other = path.join(folder, name)
    if (other === keep || name === 'rust-target' || fs.statSync(other).mtimeMs > before) continue
    fs.rmSync(other, { recursive: true, force: true })
  }
}

/**
 * The folder that `build` fills, made once for the same inputs: absolute ones are folders whose
 * files count, others are text. It appears whole or not at all.
 */
export async function cached(
  name: string,
  inputs: readonly string[],
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = path.join(cacheFolder(), `${name}-${hashOf(name, inputs)}`)
  if (fs.existsSync(folder)) {
    fs.utimesSync(folder, new Date(), new Date())
    return folder
  }
  const fresh = fs.mkdtempSync(`${folder}.`)
  fs.chmodSync(fresh, 0o755)
  try {
    await build(fresh)
    // Another run may have been faster; then its folder is as good.
    if (!fs.existsSync(folder)) fs.renameSync(fresh, folder)
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
  forgetOld(cacheFolder(), folder)
  return folder
}
