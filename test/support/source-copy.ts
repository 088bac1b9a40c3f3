/**
 * Files of src/ as JavaScript in a folder that goes with the test, for other processes: dist/ need
 * not be there, nor up to date.
 */
import fs from 'node:fs'
import path from 'node:path'
import ts from 'typescript'
import { temporaryFolder } from '../native/children.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const IMPORT = /(?:^|\n)(?:import|export) [^'"]*from '(\.[^']+)'/g

/** The file and all that it imports; answers where a module beside them imports them from. */
export function copySource(...entries: readonly string[]): string {
  const folder = temporaryFolder()
  fs.symlinkSync(path.join(ROOT, 'native'), path.join(folder, 'native'))
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'))
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }')
  const waiting = [...entries]
  const seen = new Set<string>()
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    const { outputText } = ts.transpileModule(fs.readFileSync(path.join(ROOT, file), 'utf8'), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        verbatimModuleSyntax: true,
      },
    })
    const target = path.join(folder, file.replace(/\.ts$/, '.js'))
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.writeFileSync(target, outputText)
    for (const [, imported = ''] of outputText.matchAll(IMPORT)) {
      waiting.push(path.join(path.dirname(file), imported.replace(/\.js$/, '.ts')))
    }
  }
  return folder
}
