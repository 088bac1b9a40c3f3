// Original file: proto/pasid/v1/operator.proto


export interface WatchAttachment {
  'session'?: (string);
  'device'?: (string);
  'attached'?: (boolean);
}

export interface WatchAttachment__Output {
  'session': (string);
  'device': (string);
  'attached': (boolean);
}
