/** `pasidctl emu`: the laboratory by hand, on a live daemon. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, type CliSurroundings } from '../support/cli-run.js'
import { stopAll, temporaryFolder } from '../support/daemon.js'
import { LabRig } from '../support/lab-rig.js'

let rig: LabRig

const cli = (argv: readonly string[], surroundings?: CliSurroundings) =>
  runCli(rig.daemon.adminSocket, ['emu', ...argv], surroundings)

async function out(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(argv)
  expect([code, stderr]).toEqual([0, ''])
  return stdout
}

async function json(...argv: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await runCli(rig.daemon.adminSocket, [
    '-o',
    'json',
    'emu',
    ...argv,
  ])
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as unknown
}

beforeAll(async () => {
  rig = await LabRig.start()
})

afterAll(async () => {
  rig.close()
  await stopAll()
})

describe('the unit', () => {
  test('status, and switches that are named', async () => {
    expect(await out('status')).toMatch(
      /^health +READY\nCAP_REG +0x[0-9a-f]+\n[^]*eviction +on\n[^]*\niotlb +0 of 4096 entries, 0 evicted\n/,
    )
    expect(await out('switch', 'caching-mode=on', 'eviction=off', '--flush')).toBe(
      'caching-mode   on\neviction       off\noperation-log  off\nthe caches are empty\n',
    )
    expect(await json('switch', 'caching-mode=off', 'eviction=on')).toEqual({
      cachingMode: false,
      eviction: true,
      operationLog: false,
    })
    expect(await json('status')).toMatchObject({ health: 'READY', switches: { eviction: true } })
  })
  test('its queue takes lines of words, and stands at a bad one', async () => {
    // A wait with its status, as a guest's queue was recorded; then one that has no type.
    const good = '# recorded\n200000025 2069c04\n0x5 0x0\n\n'
    const file = path.join(temporaryFolder(), 'queue.txt')
    fs.writeFileSync(file, good)
    const told = 'status writes  1 asked for, none stored, the last 0x2 at 0x2069c04\n'
    expect(await out('queue', 'submit', file)).toBe(
      `carried out    2 of 2\n${told}interrupts     0 asked for, none raised\n`,
    )
    fs.writeFileSync(file, `${good.repeat(300)}e 0\n5 0\n`)
    const { code, stdout } = await cli(['queue', 'submit', '--wide', file])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^carried out +600 of 602\nstatus writes +300 [^]*\nSTANDS +.*type/)
    expect(await out('status')).toMatch(/\nqueue +stands: .*type/)
    const words = { typed: '5 0\n' }
    expect((await cli(['queue', 'submit', '-'], words)).code).toBe(1)
    const cleared = await cli(['queue', 'submit', '-', '--clear-error'], words)
    expect([cleared.code, cleared.stdout]).toMatchObject([
      0,
      expect.stringMatching(/^carried out +1 of 1\n/),
    ])
    expect(await out('status')).toMatch(/\nqueue +takes descriptors\n/)
    fs.writeFileSync(file, `5 0 0 0\n`)
    expect(await json('queue', 'submit', '--wide', file)).toEqual({
      done: 1,
      problem: '',
      statusWrites: [],
      interrupts: 0,
    })
    const narrow = await cli(['queue', 'submit', file])
    expect([narrow.code, narrow.stderr]).toMatchObject([
      64,
      expect.stringMatching(/queue\.txt:1: a descriptor is two hexadecimal words of 64 bits/),
    ])
    expect((await cli(['queue', 'submit', '/nowhere/at/all'])).code).toBe(64)
    expect((await cli(['queue', 'submit', '-'], { typed: '5 g\n' })).code).toBe(64)
    expect((await cli(['queue', 'submit', '-'], { typed: '# none\n' })).code).toBe(64)
  })

  test.each([
    [['switch'], /name a switch, or --flush/],
    [['switch', 'eviction'], /eviction is no NAME=on or NAME=off; names are caching-mode, /],
    [['switch', 'eviction=yes'], /eviction=yes is no/],
    [['switch', 'constructor=on'], /constructor=on is no/],
    [['translate', 'emu0', '0', '0'], /must be a PASID from 1 to 1048575, or rid/],
    [['translate', 'emu0', 'rid', '0x10000000000000000'], /must be a number of 64 bits/],
    [['translate', 'emu0', 'rid', '-1'], /must be a number of 64 bits/],
    [['page-request', 'emu0', 'rid', '0'], /required option '--group <number>'/],
    [['memory', 'map', 's', '0', '4096'], /say what lies there: --zeros, or --file PATH/],
    [['memory', 'map', 's', '0', '4096', '--zeros', '--file', '/f'], /one of them/],
    [['memory', 'unmap', 's', '0'], /name address and size as they were mapped, or neither/],
    [['fault', 'inject', 'emu0'], /say what happens: --fail, --slow, --dead or --health/],
    [['fault', 'inject', 'emu0', '--dead', '--slow', '1'], /one of them/],
    [['device', 'create', 'UPPER'], /name = "UPPER" .*bound|name.*1 to 63 characters/],
  ])('%j: 64', async (argv, message) => {
    const { code, stderr } = await cli(argv)
    expect([code, stderr]).toMatchObject([64, expect.stringMatching(message)])
  })
  test('what is not there: 4; what is there already: 1', async () => {
    expect((await cli(['translate', 'none', 'rid', '0'])).code).toBe(4)
    expect((await cli(['memory', 'read', 'none', '0'])).code).toBe(4)
    expect(await cli(['device', 'create', 'emu0'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(DEVICE_EXISTS\)\n$/) as string,
    })
  })
})

describe('a story', () => {
  test('from a device to a stale translation and its cure', async () => {
    expect(await out('device', 'create', 'hand0', '--shared', '--bits', '0x10')).toMatch(
      /^DEVICE +SCOPE .*\nhand0 +HOST +16 +MEDIATED +INTEL_VTD +yes +48,57 +yes +0\n$/,
    )
    const session = await rig.vmm.openSession()
    await session.attachDevice({ device: 'devices/hand0' })
    const { ranges } = await session.allocatePasids({ one: {} })
    const pasid = ranges[0]?.first ?? 0
    const id = session.name.slice('sessions/'.length)
    expect(await out('memory', 'map', id, '0', '0x100000', '--zeros')).toBe(
      'mapped: 0x0..0xfffff\n',
    )
    for (const [at, value] of [
      ['0x1000', '0x2007'],
      ['0x2000', '0x3007'],
      ['0x3000', '0x4007'],
      ['0x4038', '0x80007'],
    ] as const) {
      await out('memory', 'write', id, at, value)
    }
    expect(await out('memory', 'read', id, '0x4030', '24')).toBe(
      `0x000000004030  ${'0'.repeat(16)} ${'80007'.padStart(16, '0')} ${'0'.repeat(16)}\n`,
    )
    const firstStage = { address: '4096', addressWidth: 48 }
    await session.bindPasid({ pasid, devices: ['devices/hand0'], firstStage, domain: 3 })
    const target = String(pasid)
    const met = await out('translate', 'hand0', target, '0x7010')
    expect(met).toMatch(/^outcome +0x[0-9a-f]+010 in a page of 4 KiB\nanswered by +tables\n/)
    expect(met).toMatch(/\ntables +say the same\n$/)
    // Two words at once; the table leads elsewhere now.
    expect(await out('memory', 'write', id, '0x4038', '0x90007', '0x0')).toBe(
      'written: 2 words at 0x4038\n',
    )
    const stale = await cli(['translate', 'hand0', target, '0x7010'])
    expect(stale.code).toBe(1)
    expect(stale.stdout).toMatch(/\nSTALE +.+\ntables +0x[0-9a-f]+ in a page of 4 KiB\n/)
    const place = `PASID ${pasid} 0x7000 4 KiB: {"addresses":{"pasid":${pasid},`
    expect(stale.stdout).toContain(`device-tlb hand0 ${place}`)
    expect(stale.stdout).toMatch(
      new RegExp(`\nneeded +iotlb domain \\d+ ${place.replace('{"', '\\{"')}`),
    )
    await session.invalidate([
      { pasid: { pasid }, caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_DEVICE_TLB'] },
    ])
    expect(await json('translate', 'hand0', target, '0x7010')).toMatchObject({
      source: 'tables',
      staleness: null,
    })
    expect(await out('dump', 'hand0', '--first', target, '--walk', '0x7010')).toMatch(
      /\nPASID entry \d+ at 0x[^]*\n {2}leaf: guest-physical 0x90010\n/,
    )
    expect(await out('memory', 'unmap', id)).toBe('unmapped: 1 ranges\n')
    expect(await out('translate', 'hand0', target, '0x7010')).toMatch(
      /^outcome +fault 0x[0-9a-f]+ SECOND_STAGE_ENTRY_NOT_PRESENT\n/,
    )
    await session.closeSession()
  })

  test('a page request waits for its answer', async () => {
    await out('device', 'create', 'hand1', '--shared')
    const { session, pasid } = await rig.guest('hand1')
    const place = ['page-request', 'hand1', String(pasid), '0x7000', '--group', '9', '--read']
    expect(await out(...place, '--more')).toBe('WAITING\n')
    const control = await session.control({
      receivePageRequests: true,
      onEvent: ({ kind, event }) => {
        if (kind !== 'pageRequest') return
        void session.respondPageRequest({ token: event.token, code: 'PAGE_RESPONSE_CODE_INVALID' })
      },
    })
    expect(await json(...place, '--wait', '20000')).toEqual({ state: 'INVALID' })
    await control.close()
    await session.closeSession()
  })

  test('an ordered failure is met once; a reset is said', async () => {
    await out('device', 'create', 'hand2', '--shared')
    const order = ['fault', 'inject', 'hand2', '--fail', 'REFUSE', '--effect', 'attachDevice']
    expect(await out(...order)).toBe('ordered for hand2\n')
    const session = await rig.vmm.openSession()
    const attach = () => session.attachDevice({ device: 'devices/hand2' })
    await expect(attach()).rejects.toMatchObject({ reason: 'BACKEND_REFUSED' })
    await attach()
    await out(...order.slice(0, 3), '--slow', '60000')
    expect(await out('fault', 'clear', 'hand2')).toBe('cleared: hand2\n')
    await out('fault', 'inject', '--health', 'DEGRADED')
    expect(await out('status')).toMatch(/^health +DEGRADED: ordered by an operator/)
    await out('fault', 'clear')
    expect(await out('status')).toMatch(/^health +READY\n/)
    expect(await out('device', 'reset', 'hand2', '--ms', '0')).toBe(
      'resetting: 0 page requests were dropped\n',
    )
    await session.closeSession()
  })

  test('faults are listed, and watched until Ctrl-C', async () => {
    await out('device', 'create', 'hand3', '--shared')
    const { session, pasid } = await rig.guest('hand3')
    const access = { device: 'hand3', target: pasid, address: 0x20_0000n }
    const interrupts: (() => void)[] = []
    const lines: string[] = []
    const watching = cli(['fault', 'watch', 'hand3'], {
      onStart: (interrupt) => interrupts.push(interrupt),
      onOutput: (text) => {
        lines.push(text)
        interrupts[0]?.()
      },
    })
    // It has no word for having begun: one of these is the first that it hears.
    const again = async () => {
      await rig.lab.translate(access)
      return lines.length
    }
    await expect.poll(again, { timeout: 20_000 }).toBeGreaterThan(0)
    const { code, stdout } = await watching
    expect([code, stdout]).toMatchObject([
      0,
      expect.stringMatching(
        new RegExp(`^ *\\d+ {2}hand3 ${pasid} 0x200000 read: 0x[0-9a-f]+ FIRST_STAGE_ENTRY_NOT`),
      ),
    ])
    expect(await out('fault', 'list', 'hand3')).toMatch(
      /^NUMBER +TIME +DEVICE .*\n *\d+ +20.* hand3 /,
    )
    expect(await json('fault', 'list', 'hand3', '--count', '1')).toMatchObject({
      faults: [{ device: 'devices/hand3', target: { pasid }, address: '2097152' }],
    })
    await session.closeSession()
  })

  test('what was done is listed while the log is on', async () => {
    await out('switch', 'operation-log=on')
    await out('device', 'create', 'hand4', '--shared')
    const { session, pasid } = await rig.guest('hand4')
    await out('switch', 'operation-log=off')
    const log = await out('log')
    expect(log).toMatch(/^NUMBER +OPERATION\n/)
    expect(log).toMatch(new RegExp(`\n *\\d+ +SET_PRESENT device hand4 target ${pasid}\n`))
    const all = (await json('log')) as { operations: unknown[] }
    expect(await json('log', '--count', '1')).toEqual({
      operations: all.operations.slice(0, 1),
      lost: '0',
    })
    await session.closeSession()
  })
})

test('help says what there is, with examples', async () => {
  const { code, stdout } = await cli(['--help'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/translate [^]*\nExamples:\n {2}pasidctl emu device create /)
})
