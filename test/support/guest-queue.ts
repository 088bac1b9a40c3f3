/**
 * The recorded invalidation queue of a real guest (test/data/README.md), and four devices whose
 * RIDs are its four domains: DIDs 2 to 5, PASID 0. Their tables map every page that the queue
 * names.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { InvalidationEntry } from '../../src/core/commands.js'
import { domainId, RID } from '../../src/core/ids.js'
import { decodeDescriptor, type VtdDescriptor } from '../../src/uapi/vtd-descriptor.js'
import { BrokerRig, WHOLE } from './broker-rig.js'
import { ok, type RigVm } from './broker-rig-vm.js'
import { Guest, GuestTables } from './emulator-guest.js'
import { queueBytes } from './raw-invalidation.js'

const FILE = new URL('../data/vtd-guest-queue.txt.gz', import.meta.url)
const PAGE_BITS = 12n

/** Of the guest. */
export const DOMAINS = [2, 3, 4, 5] as const
export type GuestDomain = (typeof DOMAINS)[number]

export type Words = readonly [low: bigint, high: bigint]

/** All of them, in order. */
export function recordedQueue(): readonly Words[] {
  const lines = gunzipSync(readFileSync(FILE)).toString().trimEnd().split('\n')
  return lines.map((line) => {
    const [low = '', high = ''] = line.split(' ')
    return [BigInt(`0x${low}`), BigInt(`0x${high}`)]
  })
}

export function* batches(words: readonly Words[], size: number): Generator<readonly Words[]> {
  for (let at = 0; at < words.length; at += size) yield words.slice(at, at + size)
}

/** As the guest's own queue has them. */
export function bytesOf(words: readonly Words[]): Buffer {
  return queueBytes(...words)
}

export function decoded([low, high]: Words): VtdDescriptor {
  const descriptor = decodeDescriptor(low, high, undefined, { addressMaskMax: 18, wide: true })
  if (descriptor.kind === 'ERROR') throw new Error(descriptor.problem)
  return descriptor
}

export function deviceOf(domain: number): string {
  return `guest${domain}`
}

/** Pages by domain that the queue names; domains of which it names none get a few. */
export function pagesOf(words: readonly Words[]): ReadonlyMap<GuestDomain, readonly number[]> {
  const pages = new Map(DOMAINS.map((domain) => [domain, new Set<number>()]))
  for (const one of words) {
    const descriptor = decoded(one)
    if (descriptor.kind !== 'PIOTLB' || descriptor.block === undefined) continue
    const { domain, block } = descriptor
    pages.get(domain as GuestDomain)?.add(Number(block.address >> PAGE_BITS))
  }
  for (const own of pages.values()) {
    if (own.size === 0) for (let page = 0xf_ff00; page < 0xf_ff20; page += 1) own.add(page)
  }
  return new Map([...pages].map(([domain, own]) => [domain, [...own].sort((a, b) => a - b)]))
}

/** What a VMM without raw descriptors would have to send; undefined: nothing. */
export function equalEntry(descriptor: VtdDescriptor): InvalidationEntry | undefined {
  switch (descriptor.kind) {
    case 'IOTLB':
      return {
        granularity: { kind: 'DOMAIN', domain: domainId(descriptor.domain) },
        caches: ['IOTLB'],
      }
    case 'PIOTLB': {
      const at = { target: RID, device: deviceOf(descriptor.domain) }
      const { block, leaf } = descriptor
      if (block === undefined) return { granularity: { kind: 'PASID', ...at }, caches: ['IOTLB'] }
      const pages = { address: block.address, pages: 1n << BigInt(block.order), leaf }
      return { granularity: { kind: 'ADDRESS', ...at, ...pages }, caches: ['IOTLB'] }
    }
    case 'PASID_CACHE': {
      const at = { target: RID, device: deviceOf(descriptor.domain) }
      return { granularity: { kind: 'PASID', ...at }, caches: ['PASID_CACHE'] }
    }
    default:
      return undefined
  }
}

/** The guest's VM on a broker of its own. */
export interface QueueGuest {
  readonly rig: BrokerRig
  readonly vm: RigVm
  /** How a device's access came out, and from where. */
  ask(domain: GuestDomain, page: number, write: boolean): string
}

export async function startQueueGuest(words: readonly Words[]): Promise<QueueGuest> {
  const devices = DOMAINS.map((domain) => ({ ...WHOLE, name: deviceOf(domain) }))
  const rig = await BrokerRig.start({ devices, scopes: new Map() })
  const vm = await rig.vm()
  const guest = new Guest()
  const pages = pagesOf(words)
  for (const domain of DOMAINS) {
    const device = deviceOf(domain)
    ok(await vm.attach(device))
    if (domain === DOMAINS[0]) rig.emulator.setGuestMemory(vm.id, guest.memory)
    const tables = new GuestTables(guest)
    for (const page of pages.get(domain) ?? []) {
      const frame = (domain << 12) | (page & 0xfff)
      tables.map(page, { frame, order: 0, writable: page % 2 === 0, user: true })
    }
    ok(await vm.bind(0, { domain, table: tables.table(), devices: [device] }))
  }
  const ask = (domain: GuestDomain, page: number, write: boolean): string => {
    const address = BigInt(page) << PAGE_BITS
    const access = { device: deviceOf(domain), target: RID, address, write, privileged: false }
    const { outcome, source, staleness } = rig.emulator.lab.translate(access)
    const result = outcome.kind === 'FAULT' ? outcome.name : String(outcome.address)
    return `${result} ${source} ${staleness === undefined ? 'supported' : 'stale'}`
  }
  return { rig, vm, ask }
}
