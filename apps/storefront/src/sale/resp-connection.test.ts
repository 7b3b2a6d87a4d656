import { expect, test } from 'vitest';
import { parseReply } from './resp-connection.ts';

test('replies are read once they are whole', () => {
  expect(parseReply('+OK\r\n')).toEqual({ text: 'OK' });
  expect(parseReply(':17\r\n')).toEqual({ text: '17' });
  expect(parseReply('$5\r\nhe')).toBeUndefined();
  expect(parseReply('$5\r\nhello\r\n')).toEqual({ text: 'hello' });
  expect(parseReply('$-1\r\n')).toEqual({ text: null });
  expect(parseReply('-READONLY You can not write\r\n')).toEqual({
    text: null,
    error: 'READONLY You can not write',
  });
  expect(parseReply('+O')).toBeUndefined();
});
