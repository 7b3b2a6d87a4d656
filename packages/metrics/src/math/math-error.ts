/** An expression that can't be read or evaluated. Its message is for who wrote it. */
export class MathError extends Error {
  override readonly name = 'MathError';
}
