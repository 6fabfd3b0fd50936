import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * A runtime as a platform starts it, in an empty folder: loads the handler of an unpacked zip the way the platform
 * does, gives each event a real context object, and says what came of it. Driven over the parent's channel.
 */
const [, , kind, folder, entry] = process.argv

/** Lambda imports an ES module; FunctionGraph requires index.js. */
const handlers =
  kind === 'lambda'
    ? await import(pathToFileURL(join(folder, entry)).href)
    : createRequire(join(folder, 'index.js'))(join(folder, 'index.js'))

/**
 * What the log of the function gets. On FunctionGraph that is what goes through these functions, which take no
 * callback (the runtime's published source): what is written to file descriptor 2 itself is nobody's.
 */
if (kind === 'functiongraph') {
  const collect = text => {
    process.send({ id: 'log', text: String(text) })
    return true
  }
  process.stdout.write = text => collect(text)
  process.stderr.write = text => collect(text)
  // It calls what is declared so, and nothing else: a default value would change the number.
  if (handlers.handler.length !== 2 || (handlers.initializer && handlers.initializer.length !== 2))
    throw new Error('handler and initializer have to declare two parameters')
}

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html */
const lambdaContext = ({ requestId, remainingMs, startedAt }) => ({
  functionName: 'iotda-cert',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:iotda-cert',
  memoryLimitInMB: '256',
  awsRequestId: requestId,
  logGroupName: '/aws/lambda/iotda-cert',
  logStreamName: '2026/06/15/[$LATEST]0123456789abcdef0123456789abcdef',
  callbackWaitsForEmptyEventLoop: true,
  getRemainingTimeInMillis: () => remainingMs - (Date.now() - startedAt),
  done: () => {},
  fail: () => {},
  succeed: () => {},
})

/** https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0410.html */
const graphContext = ({ requestId, remainingMs, startedAt, userData = {}, keys = {} }) => ({
  getRequestID: () => requestId,
  getRemainingTimeInMilliSeconds: () => remainingMs - (Date.now() - startedAt),
  getRunningTimeInSeconds: () => 900,
  getUserData: name => userData[name] ?? '',
  getFunctionName: () => 'iotda-cert',
  getVersion: () => 'latest',
  getPackage: () => 'default',
  getMemorySize: () => 256,
  getCPUNumber: () => 300,
  getToken: () => '',
  getLogger: () => ({ info: text => process.stderr.write(`${text}\n`) }),
  getAccessKey: () => 'no longer kept up',
  getSecretKey: () => 'no longer kept up',
  getSecurityAccessKey: () => keys.accessKey ?? '',
  getSecuritySecretKey: () => keys.secretKey ?? '',
  getSecurityToken: () => keys.securityToken ?? '',
})

/** What whoever calls by hand gives, or a runtime that is not well: `remaining` is a number that JSON has not. */
const contextOf = about => {
  if (about.context === 'none') return undefined
  if (about.context === 'empty') return {}
  const whole = (kind === 'lambda' ? lambdaContext : graphContext)({ ...about, startedAt: Date.now() })
  if (about.remaining === undefined) return whole
  const say = () => Number(about.remaining)
  return { ...whole, getRemainingTimeInMillis: say, getRemainingTimeInMilliSeconds: say }
}

process.on('message', async ({ id, event, ...about }) => {
  const context = contextOf(about)
  const began = performance.now()
  const say = outcome =>
    process.send({
      id,
      durationMs: performance.now() - began,
      peakMb: process.resourceUsage().maxRSS / 1024,
      ...outcome,
    })
  try {
    if (about.initialize)
      await new Promise(resolve => handlers.initializer(context, (error, result) => resolve([error, result])))
    const answer = await handlers.handler(event, context)
    // A platform serialises what it is given.
    say({ ok: true, answer: JSON.parse(JSON.stringify(answer)) })
  } catch (error) {
    // So does it with an error, stack and all.
    say({ ok: false, name: error?.name, message: String(error?.message), stack: String(error?.stack) })
  }
})
process.on('uncaughtException', error => process.send({ id: 'uncaught', stack: String(error?.stack) }))
process.on('unhandledRejection', error => process.send({ id: 'unhandled', stack: String(error?.stack) }))
process.send({ id: 'ready' })
