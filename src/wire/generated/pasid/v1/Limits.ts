// Original file: proto/pasid/v1/pasid_broker.proto


export interface Limits {
  'messageBytes'?: (number);
  'controlInFlight'?: (number);
  'pasidsPerCall'?: (number);
  'invalidateEntries'?: (number);
  'devicesPerCall'?: (number);
  'labels'?: (number);
}

export interface Limits__Output {
  'messageBytes': (number);
  'controlInFlight': (number);
  'pasidsPerCall': (number);
  'invalidateEntries': (number);
  'devicesPerCall': (number);
  'labels': (number);
}
