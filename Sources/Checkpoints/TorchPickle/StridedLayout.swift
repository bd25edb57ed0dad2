import KaratTensors

/// How the elements of a tensor lie in a file: one every so many elements along each dimension.
struct StridedLayout {
  /// The extents, outermost first.
  let sizes: [Int]
  /// For each dimension, how many elements lie between one and the next; 0 repeats an element.
  let strides: [Int]
  /// The element of the storage that is the first of the tensor.
  let first: Int
  /// The bytes of an element.
  let unitByteCount: Int
  /// Where the storage starts in the file.
  let start: Int

  /// Where the first element starts in the file.
  var firstByte: Int { start + first * unitByteCount }

  /// Whether every element is one of the storage's.
  func fits(in capacity: Int) -> Bool {
    guard first <= capacity else { return false }
    guard !sizes.contains(0) else { return true }
    var last = first
    for (size, stride) in zip(sizes, strides) {
      let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, overflowSum) = last.addingReportingOverflow(reach)
      guard !overflow, !overflowSum else { return false }
      last = sum
    }
    return last < capacity
  }

  /// Whether the elements lie one behind the other in row-major order.
  var isContiguous: Bool {
    guard !sizes.contains(0) else { return true }
    var expected = 1
    for (size, stride) in zip(sizes, strides).reversed() where size > 1 {
      guard stride == expected else { return false }
      expected *= size
    }
    return true
  }

  /// Gathers a run of elements, counted in row-major order, into a buffer of just their bytes.
  ///
  /// The file is read in windows of at most 256 KiB, each once, wherever the order allows it.
  func read(
    _ range: Range<Int>,
    of file: CheckpointFile,
    into output: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    guard !range.isEmpty else { return }
    let gatherer = StridedGatherer(file: file, layout: self, output: output)
    defer { gatherer.deallocate() }
    // Elements of one index of a dimension: the product of the extents behind it.
    var inner = [Int](repeating: 1, count: sizes.count + 1)
    for axis in sizes.indices.reversed() { inner[axis] = inner[axis + 1] * sizes[axis] }
    try cut(range, axis: 0, source: 0, output: 0, inner: inner, gatherer)
  }

  /// Cuts a run within one index of the dimensions before an axis into boxes: an incomplete row, whole
  /// rows, another incomplete one.
  private func cut(
    _ range: Range<Int>,
    axis: Int,
    source: Int,
    output: Int,
    inner: [Int],
    _ gatherer: StridedGatherer
  ) throws(CheckpointError) {
    guard axis < sizes.count else {
      return try gatherer.copy([], source: source, output: output)
    }
    let row = inner[axis + 1]
    var lower = range.lowerBound
    var output = output
    /// The part of the run that lies in the row of its first element.
    func cutRow(upTo upper: Int) throws(CheckpointError) {
      let index = lower / row
      try cut(
        lower - index * row..<upper - index * row,
        axis: axis + 1,
        source: source + index * strides[axis],
        output: output,
        inner: inner,
        gatherer
      )
      output += upper - lower
      lower = upper
    }
    if lower % row != 0 { try cutRow(upTo: min((lower / row + 1) * row, range.upperBound)) }
    let rows = (range.upperBound - lower) / row
    if rows > 0 {
      var box = [StridedDimension(count: rows, source: strides[axis], output: row)]
      for axis in axis + 1..<sizes.count {
        box.append(
          StridedDimension(count: sizes[axis], source: strides[axis], output: inner[axis + 1])
        )
      }
      try gatherer.copy(box, source: source + lower / row * strides[axis], output: output)
      output += rows * row
      lower += rows * row
    }
    if lower < range.upperBound { try cutRow(upTo: range.upperBound) }
  }
}
