/** The rules, on this repository. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { format, RULES } from './rules.js'
import { HOUSE } from './table.js'
import { importsOf, sourcesOf } from './tree.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const FOLDERS = ['src', 'test', 'bench', 'demo', 'examples']

function readTree(): ReadonlyMap<string, string> {
  const tree = new Map<string, string>()
  for (const folder of FOLDERS) {
    const inside = path.join(ROOT, folder)
    if (!fs.existsSync(inside)) continue
    for (const name of fs.readdirSync(inside, { recursive: true, encoding: 'utf8' }).sort()) {
      if (!name.endsWith('.ts')) continue
      tree.set(`${folder}/${name}`, fs.readFileSync(path.join(inside, name), 'utf8'))
    }
  }
  return tree
}

const read = (name: string) => fs.readFileSync(path.join(ROOT, name), 'utf8')

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
interface Lock {
  readonly packages: Readonly<Record<string, { resolved?: string; integrity?: string }>>
}

const tree = readTree()

describe('the source', () => {
  test('is there, and its imports are seen', () => {
    const sources = sourcesOf(tree)
    expect(sources.length).toBeGreaterThan(0)
    expect(sources.flatMap(([file, text]) => importsOf(file, text)).length).toBeGreaterThan(0)
  })
  test.each(Object.entries(RULES))('%s', (_name, rule) => {
    expect(rule(tree).map(format).join('\n')).toBe('')
  })
})

describe('the dependencies', () => {
  const manifest = JSON.parse(read('package.json')) as Manifest
  const versions = { ...manifest.dependencies, ...manifest.devDependencies }

  test('are pinned exactly', () => {
    const loose = Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
    expect(loose).toEqual([])
  })
  test('each have a reason in docs/DEPENDENCIES.md', () => {
    const document = read('docs/DEPENDENCIES.md')
    expect(Object.keys(versions).filter((name) => !document.includes(`\`${name}\``))).toEqual([])
  })
  test('of the rooms are all declared', () => {
    const used = Object.values(HOUSE).flatMap(({ packages }) => packages)
    expect(used.filter((name) => !(name in manifest.dependencies))).toEqual([])
  })
  test('are locked by hash and without a host: run node scripts/lock.mjs', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as Lock
    const odd = Object.entries(packages).filter(
      ([name, entry]) => name !== '' && (entry.resolved !== undefined || !entry.integrity),
    )
    expect(odd).toEqual([])
  })
})
