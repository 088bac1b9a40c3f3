/**
 * Compiles src/ to dist/ when a source has changed. Holds: the stamp is removed first and written
 * last, and dist/ has no file whose source is gone.
 */
import fs from 'node:fs'
import path from 'node:path'
import { run } from './child.mjs'
import { SetupFailure } from './npm.mjs'
import { at, BUILD_STAMP, buildHash, filesBelow, readOr } from './paths.mjs'
import { withProgress } from './progress.mjs'

export function isBuilt() {
  return readOr(BUILD_STAMP) === buildHash()
}

function removeOrphans() {
  for (const file of filesBelow('dist', ['.js', '.js.map'])) {
    const source = file.replace(/^dist/, 'src').replace(/\.js(\.map)?$/, '.ts')
    if (!fs.existsSync(at(source))) fs.rmSync(at(file))
  }
}

export async function build() {
  if (filesBelow('src', ['.ts']).length === 0) throw new SetupFailure('src/ has no TypeScript file')
  fs.rmSync(BUILD_STAMP, { force: true })
  const hash = buildHash()
  removeOrphans()
  const args = [at('node_modules/typescript/bin/tsc'), '-p', at('tsconfig.json')]
  args.push('--incremental', '--tsBuildInfoFile', at('dist/.tsbuildinfo'))
  const done = await withProgress(
    () => 'compiling src/',
    () => run(process.execPath, args, { cwd: at('.') }),
  )
  if (done.code !== 0) {
    throw new SetupFailure(
      `${done.output.trimEnd()}\n\nsrc/ does not compile; dist/ is not complete.`,
    )
  }
  for (const name of ['daemon/main.js', 'cli/main.js']) {
    if (fs.existsSync(at('dist', name))) fs.chmodSync(at('dist', name), 0o755)
  }
  fs.mkdirSync(path.dirname(BUILD_STAMP), { recursive: true })
  fs.writeFileSync(BUILD_STAMP, hash)
}
