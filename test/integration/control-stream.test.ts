/** Control streams: opening, correlation ids, order, ends; and that unary calls see the same. */
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stopAll } from '../support/daemon.js'
import { ControlRig } from '../support/service-control-rig.js'
import { packet, ServiceRig, type TestSession } from '../support/service-rig.js'

let rig: ServiceRig
let session: TestSession

beforeAll(async () => {
  rig = await ServiceRig.start()
})

beforeEach(async () => {
  session = await rig.openSession(['mdev0'])
})

afterAll(async () => {
  rig.close()
  await stopAll()
})

const open = () => ControlRig.open(rig.daemon.vmmSocket, session)
const bare = (token?: string) => new ControlRig(rig.daemon.vmmSocket, token)
const IOTLB = ['INVALIDATION_CACHE_IOTLB']

describe('opening', () => {
  test('another command first ends the stream', async () => {
    const control = bare(session.token)
    void control.send({ allocatePasids: { one: {} } })
    const { code, refusal } = await control.ended
    expect(code).toBe(status.INVALID_ARGUMENT)
    expect(refusal?.metadata).toMatchObject({ field: 'command', bound: /open/ })
  })

  test.each([
    ['no token', undefined],
    ['a wrong token', 'A'.repeat(43)],
  ])('%s ends the stream', async (_name, token) => {
    const control = bare(token)
    void control.send({ open: { session: session.name } })
    expect((await control.ended).refusal?.reason).toBe('SESSION_TOKEN_WRONG')
  })

  test('an unknown session ends the stream', async () => {
    const control = bare(session.token)
    void control.send({ open: { session: 'sessions/gone' } })
    expect((await control.ended).refusal?.reason).toBe('SESSION_NOT_FOUND')
  })

  test('bytes that are no message end the stream before it is open', async () => {
    const control = bare(session.token)
    control.stream.write(Buffer.from([0xff]))
    expect((await control.ended).refusal?.reason).toBe('INVALID_ARGUMENT')
  })

  test('a second open is refused, and the stream goes on', async () => {
    const control = await open()
    const again = await control.send({ open: { session: session.name } })
    expect(again.refusal?.metadata).toMatchObject({ field: 'command', value: '"open"' })
    expect((await control.send({ getSession: {} })).response.answer).toBe('getSession')
    control.end()
    expect((await control.ended).code).toBe(status.OK)
  })
})

describe('correlation ids', () => {
  test('0 is refused on id 0', async () => {
    const control = await open()
    const { refusal } = await control.send({ getSession: {} }, '0')
    expect(refusal?.metadata).toMatchObject({ field: 'id', value: '0' })
    control.end()
    await control.ended
  })

  test('one that is under way is refused, and answers once more when it is done', async () => {
    const control = await open()
    const first = control.send({ allocatePasids: { one: {} } }, '9')
    const refused = await control.send({ getSession: {} }, '9')
    expect(refused.refusal?.metadata['value']).toBe('9, which is under way')
    // The rig gives the first answer on an id to the newest who asked; the other is kept apart.
    await expect.poll(() => control.events.length).toBe(1)
    expect(control.events[0]?.answer).toBe('allocatePasids')
    void first
    expect((await control.send({ getSession: {} }, '9')).refusal).toBeUndefined()
    control.end()
    await control.ended
  })

  test('the largest is taken', async () => {
    const control = await open()
    const id = String(2n ** 64n - 1n)
    expect((await control.send({ getSession: {} }, id)).response.id).toBe(id)
    control.end()
    await control.ended
  })

  test('a message whose id cannot be told is answered on id 0', async () => {
    const control = await open()
    const answer = control.answerTo('0')
    control.stream.write(packet.varint(29, 1))
    expect((await answer).refusal?.metadata['value']).toMatch(/unknown field 29/)
    control.end()
    expect((await control.ended).code).toBe(status.OK)
  })
})

describe('commands', () => {
  test('no command is refused on its id', async () => {
    const control = await open()
    expect((await control.send({})).refusal?.metadata['field']).toBe('command')
    control.end()
    await control.ended
  })

  test('for one device they are carried out in the order sent, unanswered', async () => {
    const control = await open()
    const allocated = await control.send({ allocatePasids: { one: {} } })
    const pasid = allocated.response.allocatePasids?.ranges[0]?.first ?? 0
    const target = { pasid, devices: ['devices/mdev0'], passThrough: {} }
    const rounds = 30
    const answers: Promise<{ refusal: unknown }>[] = []
    for (let round = 0; round < rounds; round += 1) {
      answers.push(control.send({ bindPasid: { ...target, domain: 1 } }))
      const entry = { pasid: { pasid, device: 'devices/mdev0' }, caches: IOTLB }
      answers.push(control.send({ invalidate: { entries: [entry] } }))
      answers.push(control.send({ bindPasid: { ...target, domain: 2, replace: true } }))
      answers.push(control.send({ unbindPasids: { target: { pasid } } }))
    }
    for (const { refusal } of await Promise.all(answers)) expect(refusal).toBeUndefined()
    control.end()
    await control.ended
  })

  test('half-close answers what is under way, then ends well', async () => {
    const control = await open()
    const answers = Array.from({ length: 50 }, () => control.send({ allocatePasids: { one: {} } }))
    control.end()
    for (const { refusal } of await Promise.all(answers)) expect(refusal).toBeUndefined()
    expect((await control.ended).code).toBe(status.OK)
  })

  test('far more than may be under way are all answered', async () => {
    const control = await open()
    const answers = Array.from({ length: 3000 }, () => control.send({ getSession: {} }))
    await Promise.all(answers)
    control.end()
    await control.ended
  })

  test('paging works over the stream as over calls', async () => {
    const control = await open()
    await control.send({ allocatePasids: { block: { size: 8 } } })
    const seen: number[] = []
    let pageToken = ''
    do {
      const { response } = await control.send({ listPasids: { pageSize: 3, pageToken } })
      for (const { pasid } of response.listPasids?.allocations ?? []) seen.push(pasid)
      pageToken = response.listPasids?.nextPageToken ?? ''
    } while (pageToken !== '')
    expect(seen).toHaveLength(8)
    control.end()
    await control.ended
  })
})

describe('the end of a session', () => {
  test('by CloseSession elsewhere: later commands are refused, and the name is told', async () => {
    const control = await open()
    const name = session.name
    await rig.vmm.must('PasidBroker/CloseSession', { name }, session.token)
    const answer = await Promise.race([control.send({ getSession: {} }), control.ended])
    if ('response' in answer) {
      expect(answer.refusal?.metadata['session']).toBe(name.slice('sessions/'.length))
    }
    control.end()
    await control.ended
  })

  test('a stream that is cut leaves no subscription and no call', async () => {
    const streams = await Promise.all(Array.from({ length: 20 }, open))
    for (const control of streams) {
      void control.send({ allocatePasids: { one: {} } })
      control.cancel()
    }
    for (const control of streams) expect((await control.ended).code).toBe(status.CANCELLED)
    const again = await open()
    const { response } = await again.send({ getSession: {} })
    expect(response.getSession?.name).toBe(session.name)
    again.end()
    expect((await again.ended).code).toBe(status.OK)
  })
})
