/**
 * Compiles the TypeScript outside src/ that runs on its own (bench, demo, proof, test helpers) to
 * build/, file by file and without type checking: `npm run check` does that. They import
 * `../src/...` as a test does; build/src is a link to dist/, so here they meet the product as it is
 * compiled.
 */
import fs from 'node:fs'
import path from 'node:path'
import { at, filesBelow, hashOf, readOr, TOOLS_STAMP } from './paths.mjs'

const FOLDERS = ['bench', 'demo', 'examples', 'test/helpers', 'test/proof']

const sources = () => FOLDERS.flatMap((folder) => filesBelow(folder, ['.ts']))

export async function buildTools() {
  const files = sources()
  const hash = hashOf([
    ...files,
    'tsconfig.json',
    'package-lock.json',
    'scripts/setup/build-tools.mjs',
  ])
  if (readOr(TOOLS_STAMP) === hash) return
  fs.rmSync(at('build'), { recursive: true, force: true })
  const { default: ts } = await import('typescript')
  const { config } = ts.readConfigFile(at('tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, at('.'))
  for (const file of files) {
    const { outputText } = ts.transpileModule(readOr(at(file)), {
      fileName: at(file),
      compilerOptions: {
        ...options,
        module: ts.ModuleKind.ESNext,
        moduleResolution: undefined,
        sourceMap: false,
        inlineSourceMap: true,
        inlineSources: true,
      },
    })
    const target = at('build', file.replace(/\.ts$/, '.js'))
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.writeFileSync(target, outputText)
  }
  fs.mkdirSync(at('build'), { recursive: true })
  fs.symlinkSync('../dist', at('build/src'))
  fs.writeFileSync(TOOLS_STAMP, hash)
}
