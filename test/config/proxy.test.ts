import { describe, expect, test } from 'vitest'
import { proxyFrom } from '../../lib/config/proxy.ts'

const proxy = (env: Record<string, string>) => proxyFrom({ env })
const PROXY = 'http://proxy.example.com:3128'

describe('which requests go through the proxy', () => {
  test.each([
    ['https://example.com/', {}, true],
    ['https://127.0.0.1:8443/', {}, false],
    ['https://localhost/', {}, false],
    ['https://[::1]/', {}, false],
    ['http://example.com/', {}, false],
    ['https://example.com/', { NO_PROXY: '*' }, false],
    ['https://example.com/', { NO_PROXY: 'example.com' }, false],
    ['https://a.example.com/', { NO_PROXY: 'example.com' }, false],
    ['https://a.example.com/', { NO_PROXY: '.example.com' }, false],
    ['https://a.example.com/', { NO_PROXY: '*.EXAMPLE.com' }, false],
    ['https://badexample.com/', { NO_PROXY: 'example.com' }, true],
    ['https://example.com.evil.org/', { NO_PROXY: 'example.com' }, true],
    ['https://example.com/', { NO_PROXY: 'a.test, example.com:443' }, false],
    ['https://example.com:8443/', { NO_PROXY: 'example.com:443' }, true],
    ['https://example.com/', { no_proxy: 'example.com', NO_PROXY: 'a.test' }, false],
    ['https://10.1.2.3/', { NO_PROXY: '10.1.2.3' }, false],
  ])('%s with %o: %s', (url, env, isCovered) => {
    expect(proxy({ HTTPS_PROXY: PROXY, ...env })?.covers(new URL(url))).toBe(isCovered)
  })
})

test('there is none unless it is named; the lower case comes first', () => {
  expect(proxy({})).toBeNull()
  expect(proxy({ HTTP_PROXY: PROXY })).toBeNull()
  expect(proxy({ https_proxy: PROXY, HTTPS_PROXY: 'x' })?.url.reveal()).toBe(PROXY)
})

test.each(['proxy.example.com:3128', 'socks5://p:1080', 'not a url'])('%s is none', text => {
  expect(() => proxy({ HTTPS_PROXY: text })).toThrow(
    'environment variable HTTPS_PROXY must be an http or https URL',
  )
})
