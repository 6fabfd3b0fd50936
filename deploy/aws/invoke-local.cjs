const { createRequire } = require('node:module')
const { join, resolve } = require('node:path')
const { pathToFileURL } = require('node:url')

/**
 * For `osls invoke local`, a plugin of osls and the handlers that it is led to: osls looks for `lambda.js` beside
 * serverless.yml, and the build is in dist/; and it takes no Fn::Sub in an environment.
 */

const OUT = resolve(__dirname, '..', '..', process.env.OUTDIR || 'dist')

const built =
  name =>
  async (...given) => {
    const { handler } = await import(pathToFileURL(join(OUT, `${name}.mjs`)).href)
    return handler(...given)
  }

/** What the deployed stack calls the resources of its template, by their names there. */
async function namesIn(stack, provider) {
  const { ListStackResourcesCommand } = createRequire(require.main.filename)('@aws-sdk/client-cloudformation')
  const client = await provider.getCloudFormationClient()
  const names = new Map()
  let NextToken
  do {
    const page = await client.send(new ListStackResourcesCommand({ StackName: stack, NextToken }))
    for (const it of page.StackResourceSummaries ?? []) names.set(it.LogicalResourceId, it.PhysicalResourceId)
    NextToken = page.NextToken
  } while (NextToken)
  return names
}

/** A text with `${NAME}` as CloudFormation would fill it in; `${!NAME}` is `${NAME}` itself. */
async function filledIn(text, provider) {
  const wanted = [...text.matchAll(/\$\{([^!}][^}]*)\}/g)].map(([, name]) => name)
  const stack = provider.naming.getStackName()
  const isOfStack = wanted.some(name => name !== 'AWS::AccountId')
  const names = isOfStack ? await namesIn(stack, provider) : new Map()
  if (wanted.includes('AWS::AccountId')) names.set('AWS::AccountId', await provider.getAccountId())
  return text.replaceAll(/\$\{(!?)([^}]*)\}/g, (_, literal, name) => {
    if (literal) return `\${${name}}`
    if (names.has(name)) return names.get(name)
    throw new Error(`the stack ${stack} has no ${name}: deploy it first`)
  })
}

function InvokeLocal(serverless, options) {
  const initialize = async () => {
    if (serverless.processedInput.commands.join(' ') !== 'invoke local') return
    const called = serverless.service.getFunction(options.function)
    called.handler = `deploy/aws/invoke-local.${called.handler.split('.')[0]}`
    const provider = serverless.getProvider('aws')
    for (const [name, value] of Object.entries(called.environment ?? {}))
      if (value['Fn::Sub']) called.environment[name] = await filledIn(value['Fn::Sub'], provider)
  }
  this.hooks = { initialize }
}

module.exports = InvokeLocal
module.exports.lambda = built('lambda')
module.exports.watch = built('watch')
