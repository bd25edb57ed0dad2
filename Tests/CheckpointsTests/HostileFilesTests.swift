import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

/// Each file of `fixtures/hostile` breaks or stretches one rule; `expected.json` beside them gives
/// the error, or null where the file must be read.
@Suite struct HostileFilesTests {
  /// A folder of such files and what reads them.
  struct Collection: Sendable, CustomTestStringConvertible {
    let name: String
    let leastCount: Int
    let open: @Sendable (String, FileAccess) throws -> any TensorSource

    var testDescription: String { name }

    static let all = [
      Collection(name: "safetensors", leastCount: 300) {
        try SafetensorsReader($0, access: $1)
      },
      Collection(name: "index", leastCount: 40) {
        try ShardedCheckpoint(index: $0, access: $1)
      },
      Collection(name: "gguf", leastCount: 75) { try GGUFReader($0, access: $1) },
      Collection(name: "pytorch", leastCount: 600) { try TorchReader($0, access: $1) },
    ]
  }

  @Test(arguments: Collection.all, [FileAccess.copied, .mapped])
  func saysWhatIsWrong(_ collection: Collection, _ access: FileAccess) throws {
    let folder = fixture("hostile/\(collection.name)")
    let members = try verdicts("\(collection.name)/expected.json").members
    #expect(members.count >= collection.leastCount)
    for (file, verdict) in members {
      let found = message(in: folder) {
        let source = try collection.open("\(folder)/\(file)", access)
        for name in source.manifest.names { _ = try source.tensor(name) }
      }
      #expect(found == verdict.string, "\(file)")
    }
  }

  @Test func everyRuleOfSafetensorsHasFilesOfBothKinds() throws {
    let members = try verdicts("safetensors/expected.json").members
    for rule in try rules() where !rule.isOfWriters {
      let files = members.filter { $0.key.hasPrefix(rule.name + "-") }
      #expect(files.contains { $0.value.isNull }, "\(rule.name)")
      #expect(files.contains { !$0.value.isNull }, "\(rule.name)")
    }
  }

  @Test func isStricterThanTheReferenceOnlyWhereTheTableSaysSo() throws {
    let expected = try verdicts("safetensors/expected.json")
    let reference = try verdicts("safetensors/reference.json")
    let stricter = Set(try rules().filter(\.isStricter).map(\.name))
    var seen: Set<String> = []
    #expect(expected.count == reference.count)
    for (file, verdict) in expected.members {
      let theirs = try #require(reference[file], "\(file)")
      if !theirs.isNull { #expect(!verdict.isNull, "\(file): the reference refuses it") }
      if theirs.isNull, !verdict.isNull { seen.insert(String(file.prefix(3))) }
    }
    #expect(seen == stricter)
  }

  private func verdicts(_ path: String) throws -> JSONObject {
    try #require(try JSONValue.parse(try read(fixture("hostile/\(path)"))).object)
  }

  /// The rows of the table in `formats/safetensors.md`; there are 36 rules.
  private func rules() throws -> [(name: String, isStricter: Bool, isOfWriters: Bool)] {
    let page = String(decoding: try read(fixture("../formats/safetensors.md")), as: UTF8.self)
    let rows = page.split(separator: "\n").filter { $0.hasPrefix("| S") }
    let rules = rows.map { row in
      (
        name: String(row.dropFirst(2).prefix(3)), isStricter: row.contains("*Stricter*"),
        isOfWriters: row.contains("*Writer*")
      )
    }
    let names = (1...36).map { $0 < 10 ? "S0\($0)" : "S\($0)" }
    try #require(rules.map(\.name) == names)
    return rules
  }
}
