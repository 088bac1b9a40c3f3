/**
 * Checks the fields of one request: the first that is wrong becomes the refusal, and the rest is
 * gone through with stand-in values that nobody sees. Every check says field, value, bound and what
 * to do. All conversions of foreign data are made of these.
 */

import type { DomainId, Pasid } from '../../core/ids.js'
import { DOMAIN_LAST, PASID_LAST } from '../../core/ids.js'
import { accept, refuse, type Outcome, type Refusal } from '../../core/refusal.js'
import { quoted } from '../../wire/quote.js'

const PASID_BOUND = `a whole number from 1 to ${PASID_LAST}`
/** One DNS label: names of devices and tenants, and ids of sessions. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const NAME_BOUND = 'a name of 1 to 63 characters a-z, 0-9 and inner -'

export type Collection = 'sessions' | 'devices' | 'tenants'

const REMEDIES: Readonly<Record<Collection, string>> = {
  sessions: 'send Session.name as OpenSession answered it',
  devices: 'send a device as the operator named it',
  tenants: 'send a tenant as the operator named it',
}

export class Fields {
  #refusal: Refusal | undefined

  /** The refusal if any field was wrong, else the value. */
  answer<T>(value: T): Outcome<T> {
    return this.#refusal === undefined ? accept(value) : refuse(this.#refusal)
  }

  get ok(): boolean {
    return this.#refusal === undefined
  }

  no(field: string, value: string, bound: string, remedy: string): void {
    this.#refusal ??= { code: 'INVALID_ARGUMENT', field, value, bound, remedy }
  }

  missing(field: string, bound: string): void {
    this.no(field, 'nothing', bound, 'set it')
  }

  pasid(field: string, value: number): Pasid {
    if (value < 1 || value > PASID_LAST) {
      this.no(field, String(value), PASID_BOUND, 'ask for a PASID; 0 stands for RID')
    }
    return value as Pasid
  }

  domain(field: string, value: number): DomainId {
    if (value > DOMAIN_LAST) {
      this.no(field, String(value), `a whole number from 0 to ${DOMAIN_LAST}`, 'send a 16-bit id')
    }
    return value as DomainId
  }

  count(field: string, value: number, last: number, what: string): void {
    if (value > last) this.no(field, `${value} ${what}`, `at most ${last}`, 'split the call')
  }

  /** `{collection}/{name}`; answers the name. */
  name(field: string, value: string, collection: Collection): string {
    const start = collection.length + 1
    const name = value.slice(start)
    if (value.charAt(start - 1) === '/' && value.startsWith(collection) && NAME.test(name)) {
      return name
    }
    const bound = `${collection}/ and ${NAME_BOUND}`
    if (value === '') this.missing(field, bound)
    else this.no(field, quoted(value), bound, REMEDIES[collection])
    return name
  }

  /** Several names of devices, none twice. */
  devices(field: string, values: readonly string[], most: number): readonly string[] {
    if (values.length === 0) return values
    this.count(field, values.length, most, 'devices')
    if (!this.ok) return []
    const names = values.map((value, i) => this.name(`${field}[${i}]`, value, 'devices'))
    if (values.length > 1) this.#distinct(field, names)
    return names
  }

  #distinct(field: string, values: readonly string[]): void {
    const seen = new Set<string>()
    for (const [i, value] of values.entries()) {
      if (seen.has(value)) {
        this.no(`${field}[${i}]`, `${quoted(value)} again`, 'none twice', 'name each once')
      }
      seen.add(value)
    }
  }
}
