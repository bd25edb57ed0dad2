import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

/// Each file of `fixtures/hostile/kcf` breaks or stretches one rule; `expected.json` beside them gives
/// the error, or null where the file must be read.
@Suite struct HostileChunkedTests {
  private let folder = fixture("hostile/kcf")

  /// What reading all of a file says is wrong.
  private func verdict(_ file: String, _ access: FileAccess) -> String? {
    message(in: folder) {
      let reader = try ChunkedReader("\(folder)/\(file)", access: access)
      for name in reader.manifest.names { _ = try reader.tensor(name) }
      try reader.verify()
    }
  }

  @Test(arguments: [FileAccess.copied, .mapped])
  func saysWhatIsWrong(_ access: FileAccess) throws {
    let expected = try JSONValue.parse(try read(folder + "/expected.json"))
    let members = try #require(expected.object?.members)
    #expect(members.count >= 200)
    #expect(try Folder.names(in: folder).count == members.count + 1)
    for (file, words) in members { #expect(verdict(file, access) == words.string, "\(file)") }
  }

  @Test func theSecondReaderAgrees() throws {
    let expected = try JSONValue.parse(try read(folder + "/expected.json"))
    for (file, words) in try #require(expected.object?.members) {
      let bytes = try read("\(folder)/\(file)")
      #expect(((try? SlowReader(bytes)) != nil) == (words.string == nil), "\(file)")
    }
  }

  /// With `KARAT_WRITE_GOLDEN=1`, writes the files and what is said of them, to be read by a person.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["KARAT_WRITE_GOLDEN"] == "1"))
  func writeFiles() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var expected = JSONObject()
    for (file, bytes) in try HostileChunked.files().sorted(by: { $0.key < $1.key }) {
      try write(bytes, to: "\(folder)/\(file)")
      expected[file] = verdict(file, .copied).map { .string($0) } ?? .null
    }
    try write(
      JSONValue.object(expected).serialized(indent: 2) + [10],
      to: folder + "/expected.json"
    )
  }
}
