import Testing

/// What a kernel makes of an array that it adds to; checks that it writes no further.
func accumulated(
  onto before: [Float],
  _ body: (UnsafeMutablePointer<Float>) -> Void
) -> [Float] {
  filled(before.count, with: 7) { out in
    out.update(from: before, count: before.count)
    body(out)
  }
}

/// Lends the memory of an array, where there is any.
func withPointer<Element>(_ array: [Element], _ body: (UnsafePointer<Element>) -> Void) {
  array.withUnsafeBufferPointer { buffer in
    if let base = buffer.baseAddress { body(base) }
  }
}
