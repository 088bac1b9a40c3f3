/**
 * Builds the guest's kernel from Debian's source package, with the options of kernel.config and the
 * change of patch.mjs. Holds: apt checks Debian's signature, and looks only into folders of its
 * own, so that the machine's lists and packages stay as they are; the image appears whole or not at
 * all.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { run } from '../../../scripts/setup/child.mjs'
import { tail } from '../../../scripts/setup/npm.mjs'
import { say, withProgress } from '../../../scripts/setup/progress.mjs'
import { aptGet, needBuildPrograms, Unavailable } from '../packages.mjs'
import { patchSource } from './patch.mjs'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const SOURCE = `deb [signed-by=${KEYRING}] http://deb.debian.org/debian trixie-backports main\n`
/** The first kernel with all that the tests ask for. */
const NEEDED = [6, 16]
/** So that the whole tier stays within a quarter of an hour (`.ci/run`). */
const BUILD_MS = 11 * 60_000
const GIGABYTE = 1024 ** 3
/** The source and what is made of it. */
const ROOM_GIGABYTES = 3

const PATTERN = /^linux-source-(\d+)\.(\d+)$/

async function must(command, args, options = {}) {
  const done = await run(command, args, { timeoutMs: BUILD_MS, ...options })
  if (done.timedOut) {
    const minutes = BUILD_MS / 60_000
    throw new Unavailable(`${command} did not end within ${minutes} minutes on this machine`)
  }
  if (done.code === 0) return done.output
  throw new Error(`${command} ${args.join(' ')} failed:\n${tail(done.output)}`)
}

/** apt, looking only at what is below the folder. */
function aptOptions(folder) {
  const settings = {
    'Dir::Etc::sourcelist': path.join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': folder,
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::State::status': path.join(folder, 'status'),
    'Dir::Cache': path.join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** The newest package of the kernel's source: its name. */
async function newestSource(options) {
  const found = await must('apt-cache', [...options, 'pkgnames', 'linux-source-'])
  const versions = found
    .split('\n')
    .map((name) => PATTERN.exec(name.trim()))
    .filter((match) => match !== null)
    .map((match) => ({ name: match[0], major: Number(match[1]), minor: Number(match[2]) }))
    .sort((a, b) => a.major - b.major || a.minor - b.minor)
  const newest = versions.at(-1)
  const [major, minor] = NEEDED
  if (
    newest === undefined ||
    newest.major < major ||
    (newest.major === major && newest.minor < minor)
  ) {
    const has = newest?.name ?? 'none'
    throw new Unavailable(`Debian has no kernel source of ${NEEDED.join('.')} or newer (${has})`)
  }
  return newest.name
}

/** Fetches and unpacks the source into `folder`. */
async function fetchSource(folder) {
  const apt = path.join(folder, 'apt')
  fs.mkdirSync(path.join(apt, 'lists/partial'), { recursive: true })
  fs.mkdirSync(path.join(apt, 'cache/archives/partial'), { recursive: true })
  fs.writeFileSync(path.join(apt, 'sources.list'), SOURCE)
  fs.writeFileSync(path.join(apt, 'status'), '')
  const options = aptOptions(apt)
  await aptGet([...options, 'update'])
  const name = await newestSource(options)
  await aptGet([...options, 'download', name], { cwd: apt })
  const file = fs.readdirSync(apt).find((entry) => entry.endsWith('.deb'))
  await must('dpkg-deb', ['-x', path.join(apt, file), apt])
  const source = path.join(folder, 'source')
  fs.mkdirSync(source)
  const archive = path.join(apt, 'usr/src', `${name}.tar.xz`)
  await must('tar', ['-xJf', archive, '-C', source, '--strip-components=1'])
  fs.rmSync(apt, { recursive: true })
  return source
}

/** An option that the kernel does not know, or whose needs are not met, is dropped silently. */
function checkOptions(asked, file) {
  const lines = new Set(fs.readFileSync(file, 'utf8').split('\n'))
  const dropped = fs
    .readFileSync(asked, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_') && !line.endsWith('=n') && !lines.has(line))
  if (dropped.length === 0) return
  throw new Error(`the kernel's configuration has not taken ${dropped.join(', ')}`)
}

async function compile(source, options) {
  const make = ['-C', source, `-j${os.availableParallelism()}`]
  const env = { KCONFIG_ALLCONFIG: options, KBUILD_BUILD_USER: 'pasidd', KBUILD_BUILD_HOST: 'lab' }
  await must('make', [...make, 'allnoconfig'], { env })
  checkOptions(options, path.join(source, '.config'))
  await must('make', [...make, 'bzImage'], { env })
  return path.join(source, 'arch/x86/boot/bzImage')
}

/**
 * Builds the image at `file`, in a folder beside it. `options` is kernel.config.
 * @throws Unavailable when the source cannot be had
 */
export async function buildImage(file, options) {
  if (!fs.existsSync(KEYRING)) throw new Unavailable('it needs the package debian-archive-keyring')
  await needBuildPrograms()
  const { bavail, bsize } = fs.statfsSync(path.dirname(file))
  const free = Math.floor((bavail * bsize) / GIGABYTE)
  if (free < ROOM_GIGABYTES) {
    throw new Unavailable(`building the kernel takes ${ROOM_GIGABYTES} GB, and ${free} GB are free`)
  }
  const folder = fs.mkdtempSync(`${file}.`)
  const started = Date.now()
  try {
    const source = await withProgress(
      () => "fetching the kernel's source, about a minute in all",
      () => fetchSource(folder),
    )
    patchSource(source)
    const image = await withProgress(
      () => 'compiling the kernel, about 8 minutes in all',
      () => compile(source, options),
    )
    fs.copyFileSync(image, path.join(folder, 'image'))
    fs.renameSync(path.join(folder, 'image'), file)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
  say(`the kernel is built (${Math.round((Date.now() - started) / 1000)} s)`)
}
