// Original file: proto/pasid/v1/operator.proto


export interface ListDevicesRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListDevicesRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
}
