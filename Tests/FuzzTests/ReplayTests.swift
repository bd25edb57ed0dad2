import Foundation
import KaratFuzzTargets
import KaratTestSupport
import Testing

/// Inputs that once broke a reader, and the files that the search starts from.
@Suite struct ReplayTests {
  @Test(arguments: FuzzTarget.all)
  func keepsItsPromises(_ target: FuzzTarget) throws {
    var count = 0
    for folder in ["fixtures/fuzz/\(target.name)"] + target.seeds {
      let path = fixture("../\(folder)")
      guard FileManager.default.fileExists(atPath: path) else { continue }  // nothing failed so far
      for file in try FileManager.default.contentsOfDirectory(atPath: path).sorted() {
        let bytes = try Data(contentsOf: URL(filePath: "\(path)/\(file)"))
        bytes.withUnsafeBytes { target.run($0) }
        count += 1
      }
    }
    #expect(count > 0)
  }

  @Test(arguments: FuzzTarget.all)
  func takesNothingAndNoise(_ target: FuzzTarget) {
    target.run(UnsafeRawBufferPointer(start: nil, count: 0))
    var numbers = Numbers(seed: 7)
    for length in 0..<64 {
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
      bytes.withUnsafeBytes { target.run($0) }
    }
  }
}
