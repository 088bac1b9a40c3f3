/**
 * From the text of the file to its sections, each checked by itself. Holds: one wrong key never
 * hides another; an entry that is wrong keeps its name, so that what refers to it is not called
 * wrong too.
 */

import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import { shown } from './fields.js'
import type { KeyPath } from './lines.js'
import { didYouMean } from './nearest.js'
import * as schema from './schema.js'

/** What is wrong, and where. */
export interface Problem {
  readonly path: KeyPath
  readonly text: string
  /** Only where the path cannot tell: a syntax error. */
  readonly line?: number
}

/** An entry of a list, with its place in the file. */
export interface Entry<T> {
  readonly value: T
  readonly path: KeyPath
}

/** Entries that are right, and the names of all, wrong ones included. */
export interface Entries<T> {
  readonly valid: readonly Entry<T>[]
  readonly names: ReadonlySet<string>
}

/** Which kind of entries these are; UNKNOWN: the backend's kind is wrong, so nobody can tell. */
export type Devices =
  | { readonly kind: 'emulator'; readonly entries: Entries<schema.DeviceEntry> }
  | { readonly kind: 'native'; readonly entries: Entries<schema.NativeDeviceEntry> }
  | { readonly kind: 'UNKNOWN'; readonly entries: Entries<never> }

export interface Document {
  readonly daemon: schema.DaemonSection
  readonly identity: schema.IdentitySection
  readonly rules: Entries<schema.RuleEntry>
  readonly operators: Entries<schema.OperatorEntry>
  readonly namespace: schema.NamespaceSection
  /** Undefined: not given, so the default holds. */
  readonly reservations: Entries<schema.ReservationEntry> | undefined
  readonly tenants: Entries<schema.TenantEntry>
  readonly backend: schema.BackendSection
  /** Undefined: none is named. */
  readonly devices: Devices | undefined
  readonly reclaim: schema.ReclaimSection
  readonly limits: schema.LimitsSection
}

type Table = Readonly<Record<string, unknown>>

/** Collects problems; every reader below adds to it. */
class Reader {
  readonly problems: Problem[] = []

  read<T>(of: z.ZodType<T>, value: unknown, path: KeyPath): T | undefined {
    const result = of.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      const at = [
        ...path,
        ...issue.path.map((key) => (typeof key === 'number' ? key : String(key))),
      ]
      for (const line of issue.message.split('\n')) this.add(at, issue.code, line)
    }
    return undefined
  }

  add(path: KeyPath, code: string, text: string): void {
    if (code !== 'unrecognized_keys') {
      this.problems.push({ path, text })
      return
    }
    const colon = text.indexOf(': ')
    this.problems.push({ path: [...path, text.slice(0, colon)], text: text.slice(colon + 2) })
  }

  /** The section, or its defaults when something in it is wrong. */
  section<T>(of: z.ZodType<T>, value: unknown, path: KeyPath): T {
    return this.read(of, value ?? {}, path) ?? of.parse({})
  }

  entries<T>(of: z.ZodType<T>, value: unknown, path: KeyPath): Entries<T> {
    const valid: Entry<T>[] = []
    const names = new Set<string>()
    if (value !== undefined && !Array.isArray(value)) {
      const header = `[[${path.join('.')}]]`
      this.problems.push({ path, text: `is ${shown(value)}, must be a list; write ${header}` })
    }
    for (const [index, item] of (Array.isArray(value) ? value : []).entries()) {
      const at = [...path, index]
      const read = this.read(of, item, at)
      if (read !== undefined) valid.push({ value: read, path: at })
      const given = (item as Table | null)?.['name']
      if (typeof given === 'string') names.add(given)
    }
    return { valid, names }
  }
}

function asTable(value: unknown): Table | undefined {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isTable ? (value as Table) : undefined
}

function parseToml(toml: string): { readonly root: Table } | { readonly problem: Problem } {
  try {
    return { root: parse(toml) }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const text = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? ''
    return { problem: { path: [], text: `is no valid TOML: ${text}`, line: error.line } }
  }
}

function identityOf(reader: Reader, value: unknown) {
  const lists = asTable(value)
  // What is no list is a problem of the section.
  const entriesOf = <T>(of: z.ZodType<T>, key: string) => {
    const list = lists?.[key]
    return reader.entries(of, Array.isArray(list) ? list : undefined, ['identity', key])
  }
  return {
    identity: reader.section(schema.identitySchema, value, ['identity']),
    rules: entriesOf(schema.ruleSchema, 'rule'),
    operators: entriesOf(schema.operatorSchema, 'operator'),
  }
}

function devicesOf(reader: Reader, backend: Table | undefined): Devices | undefined {
  const { kind = 'emulator', device: list } = backend ?? {}
  const path = ['backend', 'device']
  // What is no list is a problem of the section.
  if (!Array.isArray(list)) return undefined
  if (kind === 'emulator') {
    return { kind, entries: reader.entries(schema.deviceSchema, list, path) }
  }
  if (kind === 'native') {
    return { kind, entries: reader.entries(schema.nativeDeviceSchema, list, path) }
  }
  const { names } = new Reader().entries(z.unknown(), list, path)
  return { kind: 'UNKNOWN', entries: { valid: [], names } }
}

/** Reads the text; what is wrong in it has its default in the document. */
export function readDocument(toml: string): {
  readonly document: Document
  readonly problems: Problem[]
} {
  const reader = new Reader()
  const parsed = parseToml(toml)
  const root = 'root' in parsed ? parsed.root : {}
  if ('problem' in parsed) reader.problems.push(parsed.problem)
  for (const key of Object.keys(root)) {
    if (schema.SECTIONS.some((section) => section === key)) continue
    const text = `is no table here; ${didYouMean(key, schema.SECTIONS)}`
    reader.problems.push({ path: [key], text })
  }
  const reservations = asTable(root['namespace'])?.['reservations']
  const document = {
    daemon: reader.section(schema.daemonSchema, root['daemon'], ['daemon']),
    ...identityOf(reader, root['identity']),
    namespace: reader.section(schema.namespaceSchema, root['namespace'], ['namespace']),
    reservations: Array.isArray(reservations)
      ? reader.entries(schema.reservationSchema, reservations, ['namespace', 'reservations'])
      : undefined,
    tenants: reader.entries(schema.tenantSchema, root['tenant'], ['tenant']),
    backend: reader.section(schema.backendSchema, root['backend'], ['backend']),
    devices: devicesOf(reader, asTable(root['backend'])),
    reclaim: reader.section(schema.reclaimSchema, root['reclaim'], ['reclaim']),
    limits: reader.section(schema.limitsSchema, root['limits'], ['limits']),
  }
  return { document, problems: reader.problems }
}
