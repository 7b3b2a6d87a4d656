import { expect, test } from 'vitest';
import { readCredentials } from './object-store.ts';

test('the default section, whatever else is in the file', () => {
  const text =
    '# mine\n[other]\naws_access_key_id=no\n\n[ default ]\r\naws_access_key_id = AK\naws_secret_access_key=s/+=\n';
  expect(readCredentials(text)).toEqual({ accessKeyId: 'AK', secretAccessKey: 's/+=' });
  expect(readCredentials(`${text}aws_session_token = t\n`)).toMatchObject({ sessionToken: 't' });
});

test('a file without both is refused, and its content is not repeated', () => {
  const refused = () => readCredentials('[default]\naws_access_key_id = AKIDSECRET\n');
  expect(refused).toThrow(/needs aws_access_key_id and aws_secret_access_key/);
  expect(refused).not.toThrow(/AKIDSECRET/);
});
