import KaratTensors

/// One dimension of a box of elements: how many, and how far apart in the file and in the result.
struct StridedDimension {
  var count: Int
  let source: Int
  let output: Int
}

/// Copies boxes of elements out of a file, window by window.
struct StridedGatherer {
  private let file: CheckpointFile
  private let start: Int
  private let unit: Int
  private let output: UnsafeMutableRawBufferPointer
  private let window: UnsafeMutableRawBufferPointer

  private static let windowByteCount = 1 << 18

  init(file: CheckpointFile, layout: StridedLayout, output: UnsafeMutableRawBufferPointer) {
    self.file = file
    start = layout.firstByte
    unit = layout.unitByteCount
    self.output = output
    window = .allocate(byteCount: Self.windowByteCount, alignment: 64)
  }

  func deallocate() { window.deallocate() }

  /// Copies a box whose first element is so many elements behind the tensor's first, and behind the
  /// result's.
  func copy(
    _ box: [StridedDimension],
    source: Int,
    output: Int
  ) throws(CheckpointError) {
    // What is far apart in the file comes first: it is cut, so that the rest fits into a window.
    let sorted = box.filter { $0.count > 1 }.sorted {
      ($0.source, $0.output) > ($1.source, $1.output)
    }
    try cut(sorted[...], source: source, output: output)
  }

  private func cut(
    _ box: ArraySlice<StridedDimension>,
    source: Int,
    output: Int
  ) throws(CheckpointError) {
    let most = Self.windowByteCount / unit
    // No overflow: the last element is known to lie in the file.
    let span = box.reduce(1) { $0 + ($1.count - 1) * $1.source }
    guard span > most, let outermost = box.first else {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: window[..<(span * unit)])
      try file.read(into: bytes, at: start + source * unit)
      // Innermost is now what is close together in the result.
      return scatter(box.sorted { $0.output > $1.output }[...], output: output)
    }
    let rest = span - (outermost.count - 1) * outermost.source
    let step = rest > most ? 1 : (most - rest) / outermost.source + 1
    for first in stride(from: 0, to: outermost.count, by: step) {
      var piece = outermost
      piece.count = min(step, outermost.count - first)
      try cut(
        (piece.count > 1 ? [piece] : []) + box.dropFirst(),
        source: source + first * outermost.source,
        output: output + first * outermost.output
      )
    }
  }

  private func scatter(_ box: ArraySlice<StridedDimension>, output: Int) {
    switch unit {
    case 1: scatter(box, from: 0, to: output, as: UInt8.self)
    case 2: scatter(box, from: 0, to: output, as: UInt16.self)
    case 4: scatter(box, from: 0, to: output, as: UInt32.self)
    default: scatter(box, from: 0, to: output, as: UInt64.self)
    }
  }

  private func scatter<T: BitwiseCopyable>(
    _ box: ArraySlice<StridedDimension>,
    from source: Int,
    to output: Int,
    as type: T.Type
  ) {
    let window = self.window.assumingMemoryBound(to: T.self)
    let result = self.output.assumingMemoryBound(to: T.self)
    guard let outermost = box.first else {
      result[output] = window[source]
      return
    }
    guard box.count > 1 else {
      for index in 0..<outermost.count {
        result[output + index * outermost.output] = window[source + index * outermost.source]
      }
      return
    }
    for index in 0..<outermost.count {
      scatter(
        box.dropFirst(),
        from: source + index * outermost.source,
        to: output + index * outermost.output,
        as: type
      )
    }
  }
}
