/**
 * The documents about the configuration hold: the example is right, every key and exit code is
 * told.
 */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/daemon/config/load.js'
import * as schema from '../../src/daemon/config/schema.js'
import { EXIT } from '../../src/daemon/exits.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const DOCUMENT = fs.readFileSync(path.join(ROOT, 'docs/CONFIGURATION.md'), 'utf8')

const TABLES = {
  daemon: schema.daemonSchema,
  identity: schema.identitySchema,
  'identity.rule': schema.ruleSchema,
  'identity.operator': schema.operatorSchema,
  namespace: schema.namespaceSchema,
  tenant: schema.tenantSchema,
  backend: schema.backendSchema,
  'backend.device': schema.deviceSchema,
  'backend.device (native)': schema.nativeDeviceSchema,
  reclaim: schema.reclaimSchema,
  limits: schema.limitsSchema,
}

/** First cells of the tables, in backquotes: keys. */
function documentedKeys(): Set<string> {
  const cells = DOCUMENT.split('\n').map((line) => /^\| (`[^|]*`) \|/.exec(line)?.[1] ?? '')
  return new Set(
    cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, key]) => key ?? '')),
  )
}

describe('docs/CONFIGURATION.md', () => {
  const keys = Object.values(TABLES).flatMap((table) => Object.keys(table.shape))

  test('tells every key', () => {
    const told = documentedKeys()
    expect(keys.filter((key) => !told.has(key))).toEqual([])
  })
  test('tells no key that is none', () => {
    const known = new Set([...keys, 'pasidd'])
    expect([...documentedKeys()].filter((key) => !known.has(key))).toEqual([])
  })
  test('tells every exit code', () => {
    const told = [...DOCUMENT.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    expect(told).toEqual(Object.values(EXIT).sort((a, b) => a - b))
  })
})

describe('which file is read', () => {
  const example = path.join(ROOT, 'examples/pasidd.toml')

  test('the example shows a VMM, a delegate, an operator and an observer', () => {
    const result = loadConfig({ config: example }, {})
    const { rules, operators } = (result.ok ? result.config.identity : undefined) ?? {}
    expect(rules?.map(({ role }) => role)).toEqual(['vmm', 'vmm', 'delegate'])
    expect(operators?.map(({ role }) => role)).toEqual(['operator', 'observer'])
  })

  test('the example, which is right', () => {
    const result = loadConfig({ config: example }, {})
    expect(result).toMatchObject({ ok: true, warnings: [] })
  })
  test('PASIDD_CONFIG, unless the command line names another', () => {
    const environment = { PASIDD_CONFIG: '/nonexistent' }
    expect(loadConfig({ config: example }, environment).ok).toBe(true)
    expect(loadConfig({}, environment)).toEqual({
      ok: false,
      problems: ['/nonexistent (from PASIDD_CONFIG): cannot be read: there is no such file'],
    })
  })
  test('none: defaults below var/ of the package, or those of a system service', () => {
    expect(loadConfig({}, {})).toMatchObject({
      config: { file: undefined, adminSocket: { path: path.join(ROOT, 'var/admin/pasid.sock') } },
    })
    expect(loadConfig({ system: true }, {})).toMatchObject({
      config: {
        stateDir: '/var/lib/pasidd',
        adminSocket: { path: '/run/pasidd/admin/pasid.sock' },
      },
    })
  })
})
