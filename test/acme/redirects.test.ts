/** Where a CA's servers send us to, and where we do not go. */
import { describe, expect, it } from 'vitest'
import { fetchDirectory } from '../../lib/acme/protocol/directory.ts'
import type { Http, HttpResponse } from '../../lib/http/http.ts'
import { createRun } from './rig.ts'

const START = 'https://ca.test/directory'
const answer = (status: number, headers = {}, text = ''): HttpResponse => ({ status, headers, text })
const directory = JSON.stringify({
  newNonce: 'https://ca.test/n',
  newAccount: 'https://ca.test/a',
  newOrder: 'https://ca.test/o',
})
const to = (location: string, status = 301): HttpResponse => answer(status, { location })

/** Answers each URL in its own way; what was asked. */
function servers(answers: Readonly<Record<string, HttpResponse>>) {
  const asked: string[] = []
  const http: Http = {
    request: async ({ url }) => {
      asked.push(url)
      return answers[url] ?? answer(500)
    },
    close: async () => {},
  }
  const clock = { now: () => 0, sleep: async () => {} }
  const run = createRun(clock)
  const fetch = () => fetchDirectory({ settings: 'sources.ca', directoryUrl: START, http, run })
  return { asked, run, fetch }
}

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])(
    'of the directory (%i) is followed, relative ones too, and told',
    async status => {
      const { asked, run, fetch } = servers({
        [START]: to('https://new.test/v2/directory', status),
        'https://new.test/v2/directory': to('../directory', status),
        'https://new.test/directory': answer(200, {}, directory),
      })
      // What is remembered is remembered for the URL of the settings.
      expect(await fetch()).toMatchObject({ url: START, body: { newOrder: 'https://ca.test/o' } })
      expect(asked).toHaveLength(3)
      expect(run.warnings()[0]).toBe('sources.ca: directory has moved to https://new.test/v2/directory')
    },
  )

  it.each([
    ['to a server without TLS', to('http://ca.test/directory')],
    ['to another scheme', to('file:///etc/passwd')],
    ['to what is no URL', to('https://')],
    ['without a place', answer(308)],
    ['that only says something was not modified', answer(304, { location: 'https://new.test/' })],
  ])('%s is not followed: later, and the setting is named', async (_, first) => {
    const { asked, fetch } = servers({ [START]: first })
    await expect(fetch()).rejects.toMatchObject({
      code: 'unavailable',
      retry: 'later',
      hint: expect.stringContaining('sources.ca.directory'),
    })
    expect(asked).toEqual([START])
  })

  it('in a circle ends after three', async () => {
    const { asked, fetch } = servers({ [START]: to(START) })
    await expect(fetch()).rejects.toMatchObject({ code: 'unavailable' })
    expect(asked).toHaveLength(4)
  })
})
