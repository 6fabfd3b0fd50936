/** Settings as somebody would deploy them: secrets by name, state in the cloud. */

// biome-ignore lint/suspicious/noExplicitAny: tests change it everywhere
export type Sample = any

const common = (): Sample => ({
  version: 1,
  targets: [
    {
      name: 'factory-1',
      domain: 'iot.example.com',
      credentials: 'cn',
      instance: {
        region: 'cn-north-4',
        projectId: '0123456789abcdef0123456789abcdef',
        instanceId: '11111111-2222-3333-4444-555555555555',
        endpoint: 'https://0a1b2c3d4e.st1.iotda-app.cn-north-4.myhuaweicloud.com',
      },
      certificate: 'iot',
    },
  ],
  certificates: { iot: { names: ['iot.example.com'], source: 'letsencrypt' } },
  sources: {
    letsencrypt: {
      type: 'acme',
      directory: 'https://acme-v02.api.letsencrypt.org/directory',
      email: 'ops@example.com',
      termsOfServiceAgreed: true,
      solver: 'dns',
    },
  },
})

export const onAws = (change: (settings: Sample) => void = () => {}): Sample => {
  const settings = {
    ...common(),
    solvers: { dns: { type: 'route53', hostedZoneId: 'Z0123456789ABCDEFGHIJ' } },
    credentials: {
      cn: { type: 'huaweicloud', accessKey: 'awssm:iotda-cert/ak', secretKey: 'awssm:iotda-cert/sk' },
    },
    store: { type: 's3', bucket: 'example-iotda-cert-state', sealKey: 'awssm:iotda-cert/seal-key' },
    notifiers: [{ type: 'sns', topicArn: 'arn:aws:sns:eu-central-1:123456789012:alerts' }],
  }
  const canary = { deviceId: 'probe', secret: 'awssm:iotda-cert/canary' }
  settings.targets[0].profiles = ['esp-idf', { name: 'meter-v1', maxChainDepth: 3, canary }]
  change(settings)
  return settings
}

export const onHuawei = (change: (settings: Sample) => void = () => {}): Sample => {
  const settings = {
    ...common(),
    solvers: { dns: { type: 'huaweicloud', credentials: 'function' } },
    credentials: { function: { type: 'functiongraph' } },
    store: {
      type: 'csms',
      credentials: 'function',
      region: 'cn-north-4',
      projectId: '0123456789abcdef0123456789abcdef',
      sealKey: 'env:SEAL_KEY',
    },
    notifiers: [
      {
        type: 'smn',
        credentials: 'function',
        topicUrn: 'urn:smn:cn-north-4:0123456789abcdef0123456789abcdef:alerts',
      },
    ],
  }
  settings.targets[0].credentials = 'function'
  change(settings)
  return settings
}

/** What the watchdog on FunctionGraph is told: its own credentials, and the rotator's state to read. */
export const watchOnHuawei = (): Sample => {
  const { store, notifiers, credentials } = onHuawei()
  const { sealKey: _, ...place } = store
  return {
    version: 1,
    targets: [{ name: 'factory-1', host: 'iot.example.com' }],
    notifiers,
    credentials,
    rotator: { store: place },
  }
}
