/**
 * `npm run generate`: from proto/ to src/wire/generated/, types by proto-loader and the descriptors
 * that reflection serves. With --check it generates elsewhere and tells what differs; nothing is
 * written.
 */
import './setup/require-node.mjs'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'
import { run } from './setup/child.mjs'
import { at, filesBelow, readOr } from './setup/paths.mjs'

const OUT = 'src/wire/generated'
const BASE64_COLUMNS = 88
const TYPES = ['--longs=String', '--enums=String', '--defaults', '--oneofs']
const HEADER = '/** Generated from proto/ by `npm run generate`; do not edit. */'

function bin(name) {
  return at('node_modules/.bin', name)
}

async function must(command, args) {
  const done = await run(command, args, { cwd: at('.') })
  if (done.code === 0) return
  process.stderr.write(`${path.basename(command)} failed:\n${done.output}`)
  process.exit(1)
}

/** The services of proto/, and the foreign ones that the daemon serves beside them. */
function protoFiles() {
  return filesBelow('proto', ['.proto']).map((file) => file.slice('proto/'.length))
}

async function generateTypes(protos, out) {
  const types = [...TYPES, '--grpcLib=@grpc/grpc-js', '--importFileExtension=.js']
  const folders = ['--includeDirs', 'proto', '--outDir', out]
  await must(bin('proto-loader-gen-types'), [...types, ...folders, ...protos])
}

/** The descriptors as text in a TypeScript file, so that they are in dist/ like any other code. */
async function generateDescriptors(out) {
  const binary = path.join(out, 'descriptors.binpb')
  await must(bin('buf'), [
    'build',
    '--as-file-descriptor-set',
    '--exclude-source-info',
    '-o',
    binary,
  ])
  const base64 = fs.readFileSync(binary).toString('base64')
  fs.rmSync(binary)
  const lines = base64.match(new RegExp(`.{1,${BASE64_COLUMNS}}`, 'g')) ?? []
  const text = lines.map((line) => `  '${line}',`).join('\n')
  fs.writeFileSync(
    path.join(out, 'descriptors.ts'),
    `${HEADER}\n\n/** A google.protobuf.FileDescriptorSet of proto/, in base64. */\n` +
      `export const FILE_DESCRIPTOR_SET_BASE64: string = [\n${text}\n].join('')\n`,
  )
}

function listing(folder) {
  if (!fs.existsSync(folder)) return []
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => fs.statSync(path.join(folder, name)).isFile()).sort()
}

/** The names of the files that differ between the two folders. */
function differences(fresh, committed) {
  const names = new Set([...listing(fresh), ...listing(committed)])
  return [...names].filter((name) => {
    const [one, other] = [fresh, committed].map((folder) => readOr(path.join(folder, name)))
    return one !== other
  })
}

/** Answers with the exit code. */
export async function generate({ check }) {
  const protos = protoFiles()
  if (protos.length === 0) {
    process.stdout.write('proto/ has no file yet: nothing to generate\n')
    return 0
  }
  const fresh = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-generate-'))
  try {
    await Promise.all([generateTypes(protos, fresh), generateDescriptors(fresh)])
    if (check) {
      const stale = differences(fresh, at(OUT))
      if (stale.length === 0) return 0
      process.stdout.write(`${OUT}/ is stale; run npm run generate:\n  ${stale.join('\n  ')}\n`)
      return 1
    }
    fs.rmSync(at(OUT), { recursive: true, force: true })
    fs.cpSync(fresh, at(OUT), { recursive: true })
    fs.chmodSync(at(OUT), 0o755) // a temporary folder is private
    process.stdout.write(`${listing(fresh).length} files written to ${OUT}/\n`)
    return 0
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setup({ compiled: false })
  process.exitCode = await generate({ check: process.argv.includes('--check') })
}
