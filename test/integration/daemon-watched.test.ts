/** What the world around the daemon sees of it: metrics, and what the service manager is told. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { PasidClient } from '../../src/client/index.js'
import { startChild, startInProcess, stopAll, temporaryFolder } from '../support/daemon.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0

const clients: { close(): void }[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await stopAll()
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

interface Scrape {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

function ask(socketPath: string, at = '/metrics', method = 'GET'): Promise<Scrape> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path: at, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body }),
      )
    })
    request.on('error', reject).end()
  })
}

interface Parsed {
  readonly types: ReadonlyMap<string, string>
  /** By the name with its labels, in the order they are written. */
  readonly samples: ReadonlyMap<string, number>
}

/** The text format, strictly: what is no comment is `name{label="value",...} number`. */
function parse(body: string): Parsed {
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of body.split('\n')) {
    const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line)
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '')
    if (line === '' || line.startsWith('#')) continue
    const sample = /^(\w+(?:\{(?:\w+="[^"]*",?)+\})?) (\S+)$/.exec(line)
    if (sample === null) throw new Error(`no sample: ${line}`)
    const value = Number((sample[2] ?? '').replace('Nan', 'NaN').replace('Inf', 'Infinity'))
    samples.set(sample[1] ?? '', value)
  }
  return { types, samples }
}

const TOML = `
[namespace]
hold = "1h"
[[tenant]]
name = "default"
max_pasids = 3
[[tenant]]
name = "free"
`

describe('metrics', () => {
  test('every family that the document has is there, with its type, and no other of ours', async () => {
    const daemon = await startInProcess()
    const { types } = parse((await ask(daemon.metricsSocket)).body)
    const document = fs.readFileSync(path.join(ROOT, 'docs/METRICS.md'), 'utf8')
    const rows = [...document.matchAll(/^\| `(pasid_\w+)` \| (\w+) \|/gm)]
    const documented = new Map(rows.map(([, name = '', type = '']) => [name, type]))
    const ours = new Map([...types].filter(([name]) => name.startsWith('pasid_')))
    expect(documented).toEqual(ours)
    expect(types.get('nodejs_eventloop_lag_seconds')).toBe('gauge')
  })
  test('follow what happens, by scope, tenant, method and cause', async () => {
    const daemon = await startInProcess({ toml: TOML })
    const client = new PasidClient({ socket: daemon.vmmSocket })
    clients.push(client)
    const session = await client.openSession()
    const { ranges } = await session.allocatePasids({ one: {} })
    for (let i = 0; i < 2; i++) await session.allocatePasids({ one: {} })
    await expect(session.allocatePasids({ one: {} })).rejects.toThrow()
    await session.freePasids({ pasids: { pasids: [ranges[0]?.first ?? 0] } })
    const { samples } = parse((await ask(daemon.metricsSocket)).body)
    expect(Object.fromEntries(samples)).toMatchObject({
      'pasid_pool_size{scope="HOST"}': 2 ** 20 - 1,
      'pasid_allocated{scope="HOST"}': 2,
      'pasid_quarantined{scope="HOST"}': 1,
      'pasid_free_pending{scope="HOST"}': 0,
      'pasid_reserved{scope="HOST"}': 255,
      'pasid_quota_limit{tenant="default"}': 3,
      'pasid_quota_used{tenant="default"}': 3,
      'pasid_quota_used{tenant="free"}': 0,
      pasid_sessions: 1,
      pasid_ledger_writable: 1,
      pasid_breaker_open: 0,
      pasid_owners_watched: 1,
      'pasid_allocation_failures_total{cause="quota"}': 1,
      'pasid_refusals_total{reason="QUOTA_EXCEEDED"}': 1,
      'pasid_calls_total{method="PasidBroker/AllocatePasids",reason="OK"}': 3,
      'pasid_calls_total{method="PasidBroker/AllocatePasids",reason="QUOTA_EXCEEDED"}': 1,
      'pasid_call_seconds_count{method="PasidBroker/AllocatePasids"}': 4,
      'pasid_connections{socket="vmm"}': 1,
      'pasid_connections{socket="admin"}': 0,
    })
    expect(samples.has('pasid_quota_limit{tenant="free"}')).toBe(false)
    expect(samples.get('pasid_commit_seconds_count')).toBeGreaterThan(0)
  })
  test('nothing else is to be had, and nobody holds the place', async () => {
    const daemon = await startInProcess()
    const at = daemon.metricsSocket
    expect(await ask(at, '/')).toMatchObject({ status: 404 })
    expect(await ask(at, '/metrics', 'POST')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
    expect(await ask(at, '/metrics', 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await ask(at, '/metrics?x=1')).toMatchObject({ status: 200 })
    // Half a request, many times: the daemon stops all the same, at once.
    const held = Array.from({ length: 16 }, () =>
      net.connect(at, function (this: net.Socket) {
        this.write('GET /met')
      }),
    )
    for (const one of held) one.on('error', () => undefined)
    await Promise.all(held.map((one) => new Promise((resolve) => one.once('connect', resolve))))
    await daemon.stop()
    for (const one of held) one.destroy()
    expect(fs.existsSync(at)).toBe(false)
  })
})

test('requests sent ahead of their answers cut the connection, and cost one scrape', async () => {
  const daemon = await startInProcess()
  const scrapes = vi.spyOn(daemon.metrics, 'text')
  const flood = net.connect(daemon.metricsSocket)
  const cut = new Promise((resolve) => flood.once('close', resolve))
  flood.on('error', () => undefined).resume()
  flood.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5000))
  await cut
  expect(scrapes.mock.calls.length).toBeLessThanOrEqual(1)
  const both = await Promise.all([ask(daemon.metricsSocket), ask(daemon.metricsSocket)])
  expect(both.map(({ status }) => status)).toEqual([200, 200])
})

describe('the service manager', () => {
  test('is told when the daemon serves, that it lives, and when it stops', async (ctx) => {
    ctx.skip(!HAS_PYTHON, 'there is no python3')
    const folder = temporaryFolder()
    const name = path.join(folder, 'notify')
    const receiver = spawn('python3', [path.join(ROOT, 'test/support/datagrams.py'), name])
    children.push(receiver)
    let said = ''
    receiver.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
    const told = () =>
      said.split('\n').flatMap((line) => (line.startsWith('"') ? [JSON.parse(line) as string] : []))
    await expect.poll(() => said).toMatch('bound')
    const environment = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '200000' }
    const daemon = await startChild({ folder, environment })
    await expect.poll(() => told()[0]).toMatch(/^READY=1\nSTATUS=Serving: 0 sessions hold 0 PASIDs/)
    const client = new PasidClient({ socket: daemon.vmmSocket })
    clients.push(client)
    await (await client.openSession()).allocatePasids({ one: {} })
    const beats = () => told().filter((text) => text.startsWith('WATCHDOG=1\nSTATUS=Serving'))
    await expect
      .poll(() => beats().at(-1), { timeout: 5000 })
      .toMatch(/1 sessions hold 1 PASIDs of HOST scope, 1 connections, revision \d+$/)
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    await expect.poll(() => told().some((text) => text.startsWith('STOPPING=1'))).toBe(true)
    // Nothing before it serves, and READY once.
    expect(told().filter((text) => text.includes('READY=1'))).toHaveLength(1)
  })
  test('whose watchdog is another process’s gets no beats', async (ctx) => {
    ctx.skip(!HAS_PYTHON, 'there is no python3')
    const folder = temporaryFolder()
    const name = path.join(folder, 'notify')
    const receiver = spawn('python3', [path.join(ROOT, 'test/support/datagrams.py'), name])
    children.push(receiver)
    let said = ''
    receiver.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
    await expect.poll(() => said).toMatch('bound')
    const environment = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' }
    const daemon = await startChild({ folder, environment })
    await daemon.stop()
    await expect.poll(() => said).toMatch('STOPPING=1')
    expect(said).not.toMatch('WATCHDOG')
  })
})
