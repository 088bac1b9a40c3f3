/** A container of the service VfioUapi as a program drives it, over the real socket of a daemon. */
import type { RawClient, Reply } from './service-rig.js'
import {
  ALLOC,
  BIND_PGTBL,
  bindData,
  pasidRequest,
  REQUEST,
  withHeader,
  type BindFields,
} from './vfio-layouts.js'

export interface Answered {
  readonly result: number
  readonly error: number
  readonly data: Buffer
}

export const NESTING = 6

export class VfioContainer {
  private constructor(
    readonly client: RawClient,
    readonly name: string,
    readonly token: string,
  ) {}

  /** Open, and nothing set. */
  static async open(
    client: RawClient,
    devices: readonly string[],
    more: object = {},
  ): Promise<VfioContainer> {
    const names = devices.map((device) => `devices/${device}`)
    const opened = await client.must('VfioUapi/OpenContainer', { devices: names, ...more })
    const { name } = opened['session'] as { name: string }
    return new VfioContainer(client, name, opened['token'] as string)
  }

  /** Ready for everything that nests. */
  static async nesting(client: RawClient, devices: readonly string[]): Promise<VfioContainer> {
    const container = await VfioContainer.open(client, devices)
    const set = await container.call(REQUEST.SET_IOMMU, { argument: NESTING })
    if (set.result !== 0) throw new Error(`VFIO_SET_IOMMU: ${set.error}`)
    return container
  }

  send(request: number, more: object = {}): Promise<Reply> {
    return this.client.call('VfioUapi/Ioctl', { session: this.name, request, ...more }, this.token)
  }

  /** @throws when the call ends with a status */
  async call(request: number, more: object = {}): Promise<Answered> {
    const reply = await this.send(request, more)
    if (!reply.ok) throw new Error(reply.refusal.message)
    return reply.message as unknown as Answered
  }

  /** The errno, 0 when there is none. */
  async errno(request: number, data: Uint8Array = new Uint8Array()): Promise<number> {
    return (await this.call(request, { data })).error
  }

  /** By v7. @throws when there is none */
  async allocate(min = 1, max = 0xfffff): Promise<number> {
    const { result } = await this.call(REQUEST.PASID_REQUEST, {
      data: pasidRequest(ALLOC, min, max),
    })
    if (result <= 0) throw new Error(`no PASID: ${result}`)
    return result
  }

  bind(fields: BindFields): Promise<number> {
    return this.errno(REQUEST.NESTING_OP, withHeader(BIND_PGTBL, bindData(fields)))
  }

  close() {
    return this.client.must('VfioUapi/CloseContainer', { session: this.name }, this.token)
  }
}
