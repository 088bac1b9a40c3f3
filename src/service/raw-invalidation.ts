/**
 * InvalidateRaw: entries and descriptors carried out in their order. Runs of invalidations go to
 * the broker as one batch; a page-group response and a wait that drains page requests stand between
 * runs. The first that is bad ends it, those before it are done and stay so: hardware stops its
 * queue there, the kernel its array.
 */

import type { RawView } from '../broker/answers.js'
import type { Broker } from '../broker/broker.js'
import type { RawInvalidationEntry } from '../core/commands.js'
import type { SessionId } from '../core/ids.js'
import { accept, refuse, type Outcome, type Refusal } from '../core/refusal.js'
import type { BindingView } from '../core/view.js'
import { invalid, isUapiError, type UapiError } from '../uapi/errno.js'
import { decodeCacheInvalidate } from '../uapi/iommu-2020.js'
import { decodeDescriptors, type VtdDescriptor } from '../uapi/vtd-descriptor.js'
import { decodeVtdS1 } from '../uapi/vtd-s1.js'
import type { VmmResponse } from '../wire/messages.js'
import { lostProto } from './convert/invalidation.js'
import {
  cacheInvalidationEntries,
  descriptorEntry,
  queueFactsOf,
  rawOf,
  vtdS1Entries,
  type RawAsked,
  type SourceIds,
} from './convert/raw-invalidation.js'
import type { VmmRequest } from '../wire/messages.js'

type Response = VmmResponse<'InvalidateRaw'>
type Answer = Promise<Outcome<Response>>
type StatusWrite = NonNullable<Extract<VtdDescriptor, { kind: 'WAIT' }>['statusWrite']>
type Asked<Form extends RawAsked['form']> = Extract<RawAsked, { form: Form }>

export function invalidateRaw(
  broker: Broker,
  session: SessionId,
  message: VmmRequest<'InvalidateRaw'>,
): Outcome<Response> | Answer {
  const asked = rawOf(message)
  if (!asked.ok) return asked
  const run = new Run(broker, session)
  switch (asked.value.form) {
    case 'CACHE_INVALIDATE_INFO':
      return ofStructure(run, asked.value)
    case 'VTD_S1':
      return ofTable(run, asked.value)
    case 'VTD_DESCRIPTORS':
      return ofQueue(run, asked.value)
  }
}

async function ofStructure(run: Run, { bytes }: Asked<'CACHE_INVALIDATE_INFO'>): Answer {
  const decoded = decodeCacheInvalidate(bytes)
  const isBad = isUapiError(decoded)
  const stop = await run.invalidate(isBad ? [] : cacheInvalidationEntries(decoded))
  if (stop !== undefined) return refuse(stop)
  return run.answer(isBad ? 0 : 1, isBad ? decoded : undefined)
}

async function ofTable(run: Run, { target, device, request }: Asked<'VTD_S1'>): Answer {
  const { entries, stopped } = decodeVtdS1(request)
  const stop = await run.invalidate(vtdS1Entries({ target, device }, entries))
  // IOMMU_HWPT_INVALIDATE of an HWPT that is none of a guest's table.
  if (stop?.code === 'INVALIDATION_UNSUPPORTED') {
    return run.answer(0, invalid(`${device} has no first-stage table bound there`))
  }
  if (stop !== undefined) return refuse(stop)
  return run.answer(entries.length, stopped)
}

async function ofQueue(run: Run, { bytes, wide, sourceIds }: Asked<'VTD_DESCRIPTORS'>): Answer {
  const descriptors = decodeDescriptors(bytes, queueFactsOf(run.view.facts, wide))
  const last = descriptors.at(-1)
  const bad = last?.kind === 'ERROR' ? invalid(last.problem) : undefined
  const stop = await run.queue(descriptors, sourceIds)
  if (stop !== undefined) return refuse(stop)
  return run.answer(descriptors.length - (bad === undefined ? 0 : 1), bad)
}

class Run {
  readonly view: RawView
  readonly #broker: Broker
  readonly #session: SessionId
  readonly #statusWrites: StatusWrite[] = []
  readonly #lost: BindingView[] = []

  constructor(broker: Broker, session: SessionId) {
    this.view = broker.rawView(session)
    this.#broker = broker
    this.#session = session
  }

  /** All of them, or why none. No entries: whether the session takes any. */
  async invalidate(
    entries: readonly RawInvalidationEntry[],
    devices: readonly string[] = [],
  ): Promise<Refusal | undefined> {
    const session = this.#session
    const command = { verb: 'invalidate-raw', session, entries, devices } as const
    const invalidated = await this.#broker.invalidateRaw(command)
    if (!invalidated.ok) return invalidated.refusal
    this.#lost.push(...invalidated.value.lost)
    return undefined
  }

  /** Up to an ERROR, which is the last if there is one. */
  async queue(
    descriptors: ReturnType<typeof decodeDescriptors>,
    sourceIds: SourceIds,
  ): Promise<Refusal | undefined> {
    let entries: RawInvalidationEntry[] = []
    let isChecked = false
    const flush = async (): Promise<Refusal | undefined> => {
      if (isChecked && entries.length === 0) return undefined
      const stop = await this.invalidate(entries, isChecked ? [] : [...sourceIds.values()])
      entries = []
      isChecked = true
      return stop
    }
    for (const descriptor of descriptors) {
      if (descriptor.kind === 'ERROR') break
      const entry = descriptorEntry(descriptor, sourceIds)
      if (entry !== undefined) entries.push(entry)
      const then = this.#between(descriptor, sourceIds)
      if (then === undefined) continue
      const stop = await flush()
      if (stop !== undefined) return stop
      await then()
    }
    return flush()
  }

  /** What is no invalidation, and is done when those before it are; undefined: nothing. */
  #between(descriptor: VtdDescriptor, sourceIds: SourceIds): (() => Promise<void>) | undefined {
    if (descriptor.kind === 'PAGE_GROUP_RESPONSE') {
      return () => this.#respond(descriptor, sourceIds)
    }
    if (descriptor.kind !== 'WAIT') return undefined
    if (descriptor.statusWrite !== undefined) this.#statusWrites.push(descriptor.statusWrite)
    // Fences are kept anyhow: nothing is begun before what was before it is done.
    return descriptor.drain ? () => this.#broker.drainPageRequests(this.#session) : undefined
  }

  /** An answer that nobody waits for is lost on hardware too. */
  async #respond(
    response: Extract<VtdDescriptor, { kind: 'PAGE_GROUP_RESPONSE' }>,
    sourceIds: SourceIds,
  ): Promise<void> {
    const { sourceId, group, code } = response
    const device = sourceIds.get(sourceId)
    if (device === undefined) return
    const target = this.view.targetOf(device, response.pasid ?? 0)
    if (target === undefined) return
    await this.#broker.respondToGroup(this.#session, { device, target, group, code })
  }

  answer(done: number, bad: UapiError | undefined): Outcome<Response> {
    return accept({
      done,
      ...(bad !== undefined && { error: bad.errno, problem: bad.problem }),
      ...(this.#statusWrites.length > 0 && {
        statusWrites: this.#statusWrites.map(({ address, data }) => {
          return { address: String(address), data }
        }),
      }),
      ...(this.#lost.length > 0 && { lost: lostProto(this.#lost) }),
    })
  }
}
