/**
 * One recipe a language: from the sources beside this file and the stubs that its own generator
 * makes of `proto/`, to a command that runs the client. Holds: nothing is written into the tree,
 * and the versions are those of the lock file beside the sources.
 */
import fs from 'node:fs'
import path from 'node:path'
import {
  cached,
  cacheFolder,
  fetchWith,
  needDebianPackages,
  requireVersion,
  run,
  Unavailable,
  works,
} from './toolchains.js'

const HERE = import.meta.dirname
const PROTO = path.resolve(HERE, '../../proto')

export interface Client {
  /** The arguments of the client follow. */
  readonly command: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** What the command needs to be readable by whoever runs it: files and folders. */
  readonly files: readonly string[]
}

/** The system's own first: another user can run it, unlike one below somebody's home. */
const PYTHONS = ['/usr/bin/python3', 'python3']
const PYTHON_NEEDED = 'import sys; sys.exit(sys.version_info < (3, 10))'

async function firstOf(
  candidates: readonly string[],
  ...args: string[]
): Promise<string | undefined> {
  for (const candidate of candidates) if (await works([candidate, ...args])) return candidate
  return undefined
}

async function python(): Promise<Client> {
  const sources = path.join(HERE, 'python')
  const interpreter = await firstOf(PYTHONS, '-c', PYTHON_NEEDED)
  if (interpreter === undefined) throw new Unavailable('python3 (3.10 or later) is not installed')
  const version = await run([interpreter, '-c', 'import sys; print(sys.version)'])
  const requirements = path.join(sources, 'requirements.txt')
  const packages = await cached(
    'python-packages',
    [version, fs.readFileSync(requirements, 'utf8')],
    async (folder) => {
      const pip = await firstOf([...PYTHONS].reverse(), '-m', 'pip', '--version')
      if (pip === undefined) throw new Unavailable('no python3 has pip')
      const install = ['install', '--quiet', '--only-binary', ':all:', '--no-deps']
      await fetchWith([
        ...[pip, '-m', 'pip', '--python', interpreter, ...install],
        ...['--target', folder, '--requirement', requirements],
      ])
    },
  )
  const generate = path.join(sources, 'generate.sh')
  const recipe = fs.readFileSync(generate, 'utf8')
  const stubs = await cached(
    'python-stubs',
    [path.basename(packages), recipe, PROTO],
    async (folder) => {
      await run([generate, PROTO, folder], { env: { PYTHON: interpreter, PYTHONPATH: packages } })
    },
  )
  return {
    command: [interpreter, path.join(sources, 'client.py')],
    env: { PYTHONPATH: `${packages}:${stubs}`, PYTHONDONTWRITEBYTECODE: '1' },
    files: [packages, stubs, path.join(sources, 'client.py')],
  }
}

async function cpp(): Promise<Client> {
  await needDebianPackages()
  const sources = path.join(HERE, 'cpp')
  const grpc = await run(['pkg-config', '--modversion', 'grpc++'])
  const folder = await cached('cpp', [grpc, sources, PROTO], async (fresh) => {
    await run(['make', '-j2', `BUILD=${fresh}`, `PASID_PROTO=${PROTO}`], { cwd: sources })
  })
  const program = path.join(folder, 'pasid-interop')
  return { command: [program], env: {}, files: [program] }
}

async function rust(): Promise<Client> {
  // tonic 0.14 asks for 1.88.
  await requireVersion(['cargo', '--version'], [1, 88])
  await needDebianPackages()
  const sources = path.join(HERE, 'rust')
  const target = path.join(cacheFolder(), 'rust-target')
  const version = await run(['cargo', '--version'])
  const folder = await cached('rust', [version, sources, PROTO], async (fresh) => {
    const env = { CARGO_TARGET_DIR: target, PASID_PROTO: PROTO }
    await fetchWith(['cargo', 'fetch', '--locked'], { cwd: sources })
    await run(['cargo', 'build', '--locked', '--offline'], { cwd: sources, env })
    const built = path.join(target, 'debug/pasid-interop')
    fs.copyFileSync(built, path.join(fresh, 'pasid-interop'))
  })
  const program = path.join(folder, 'pasid-interop')
  return { command: [program], env: {}, files: [program] }
}

async function go(): Promise<Client> {
  // Says go.mod; another toolchain is not fetched for it.
  await requireVersion(['go', 'version'], [1, 26])
  await needDebianPackages()
  const sources = path.join(HERE, 'go')
  const version = await run(['go', 'version'])
  const env = { GOTOOLCHAIN: 'local', CGO_ENABLED: '0' }
  const folder = await cached('go', [version, sources, PROTO], async (fresh) => {
    fs.cpSync(sources, fresh, { recursive: true })
    await fetchWith(['go', 'mod', 'download'], { cwd: fresh, env })
    await run(['./generate.sh', PROTO], { cwd: fresh, env })
    await run(['go', 'build', '-o', 'pasid-interop', '.'], { cwd: fresh, env })
  })
  const program = path.join(folder, 'pasid-interop')
  return { command: [program], env: {}, files: [program] }
}

export const LANGUAGES = { python, cpp, rust, go } as const
export type Language = keyof typeof LANGUAGES
