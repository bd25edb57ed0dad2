extension UnsafeRawBufferPointer {
  /// A part of the buffer, as a buffer that begins at 0.
  package func part(_ range: some RangeExpression<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[range.relative(to: self)])
  }
}

extension UnsafeMutableRawBufferPointer {
  /// A part of the buffer, as a buffer that begins at 0.
  package func part(_ range: some RangeExpression<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: self[range.relative(to: self)])
  }
}
