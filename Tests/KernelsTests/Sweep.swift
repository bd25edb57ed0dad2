import Foundation
import KaratKernels
import Testing

/// Every kernel against its reference, on every instruction set and for several numbers of threads.
///
/// One after the other, since the instruction set in use is the process's.
@Suite(.serialized) struct Kernels {}

/// Numbers that depend on the seed alone.
struct Numbers {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Floats within -size..<size.
  mutating func floats(_ count: Int, size: Float = 1) -> [Float] {
    (0..<count).map { _ in (Float(next() >> 40) / 8_388_608 - 1) * size }
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
  }

  mutating func codes(_ count: Int) -> [Int8] {
    (0..<count).map { _ in Int8(truncatingIfNeeded: next() >> 32) }
  }
}

/// Fills an array of `count` elements from a kernel, and checks that it writes no further.
func filled<Element: Equatable>(
  _ count: Int,
  with canary: Element,
  _ body: (UnsafeMutablePointer<Element>) -> Void
) -> [Element] {
  let guards = 32
  var elements = [Element](repeating: canary, count: count + guards)
  elements.withUnsafeMutableBufferPointer { buffer in
    if let base = buffer.baseAddress { body(base) }
  }
  #expect(elements[count...].allSatisfy { $0 == canary }, "the kernel wrote past its result")
  return Array(elements[..<count])
}

/// What a kernel that adds makes of a target that holds `before`; checks that it writes no further.
func added(to before: [Float], _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
  filled(before.count, with: Float(7)) { target in
    target.update(from: before, count: before.count)
    body(target)
  }
}

/// a + b, element by element.
func sum(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }

/// Lends the memory of an array, where there is any.
func withPointer<Element>(_ array: [Element], _ body: (UnsafePointer<Element>) -> Void) {
  array.withUnsafeBufferPointer { buffer in
    if let base = buffer.baseAddress { body(base) }
  }
}

/// The instruction sets to try: all where `KARAT_SWEEP` is set, else the one that is in use anyway.
///
/// The choice is the process's, so switching it beside other tests would change their last bits.
/// `make test` runs these tests alone for the sweep.
private let levels: [InstructionSet] =
  ProcessInfo.processInfo.environment["KARAT_SWEEP"] == nil
  ? [.detected] : InstructionSet.allCases

/// Runs a kernel on every instruction set and with 1, 2, 4 and 7 threads: the same bits for any
/// number of threads, and each instruction set's result to `check`.
func sweep<Element: Equatable>(
  _ kernel: (Workers) -> [Element],
  check: (InstructionSet, [Element]) -> Void
) {
  defer { InstructionSet.detected.use() }
  for level in levels where level.use() == level {
    let single = kernel(Workers(threads: 1))
    for threads in [2, 4, 7] {
      let same = kernel(Workers(threads: threads)) == single
      #expect(same, "\(level), \(threads) threads differ from one")
    }
    check(level, single)
  }
}

/// Whether floats agree with a reference within `tolerance` times the greatest of the reference.
func expectClose(
  _ found: [Float],
  _ expected: [Float],
  tolerance: Float,
  _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let largest = expected.reduce(0) { max($0, abs($1)) }
  let worst = zip(found, expected).reduce(Float(0)) { worst, pair in
    let difference = abs(pair.0 - pair.1)
    return difference.isNaN ? .infinity : max(worst, difference)
  }
  #expect(
    found.count == expected.count && worst <= tolerance * max(largest, .leastNormalMagnitude),
    "\(what): off by \(worst) of \(largest)",
    sourceLocation: sourceLocation
  )
}
