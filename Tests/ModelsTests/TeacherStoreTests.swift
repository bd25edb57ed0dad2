import Foundation
import Karat
import KaratBytes
import KaratCheckpoints
import KaratEngine
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

private let windows: [[Int32]] = [[5, 9, 2, 31], [7, 11, 3, 28], [1, 1, 8, 40]]

private func digest(_ text: String) -> SHA256Digest {
  var accumulator = SHA256Digest.Accumulator()
  Array(text.utf8).withUnsafeBytes { accumulator.append($0) }
  return accumulator.digest
}

private func key(
  teacher: String = "T",
  tokenizer: String = "V",
  windows: [[Int32]] = windows,
  k: Int = 2,
  vocabulary: Int = 50
) -> TeacherStoreKey {
  TeacherStoreKey(
    teacher: digest(teacher),
    tokenizer: digest(tokenizer),
    windows: windows,
    k: k,
    vocabulary: vocabulary
  )
}

/// What a teacher might give for a window of four tokens.
private func table(_ window: Int, tokens: Int32 = 40) -> TopTokens {
  TopTokens(
    k: 2,
    indices: (0..<8).map { ($0 * 7 + Int32(window) * 3) % tokens },
    logProbabilities: (0..<8).map { -0.1 - Float($0) * 1.37 - Float(window) },
    rest: [0.25, 0, 1, 1e-9]
  )
}

private func store(_ path: String, _ key: TeacherStoreKey = key()) throws {
  let writer = try TeacherStoreWriter(path, key, windows: windows)
  // In any order.
  for window in [2, 0, 1] { try writer.add(window, table(window)) }
  try writer.finish()
}

@Suite struct StoresOfATeacher {
  @Test(arguments: [50, 65_536, 65_537, 200_000])
  func whatIsStoredIsRead(_ vocabulary: Int) throws {
    try inTemporaryFolder { folder in
      let path = folder + "/t.safetensors"
      let key = key(vocabulary: vocabulary)
      try store(path, key)
      let opened = try TeacherStore(path, expecting: key)
      for window in [1, 0, 2] {
        let (tokens, top) = try opened.window(window)
        let given = table(window)
        #expect(tokens == windows[window])
        #expect(top.indices == given.indices && top.rest == given.rest)
        // Half a unit in the last of F16's eleven bits.
        for (left, right) in zip(top.logProbabilities, given.logProbabilities) {
          #expect(left == Float(Float16(right)) && abs(left - right) <= abs(right) / 2048)
        }
      }
      let manifest = try SafetensorsReader(path).manifest
      #expect(manifest["indices"]?.dtype == (vocabulary <= 65_536 ? .u16 : .i32))
    }
  }

  @Test func theSameBytesWhateverTheOrder() throws {
    try inTemporaryFolder { folder in
      try store(folder + "/a")
      let writer = try TeacherStoreWriter(folder + "/b", key(), windows: windows)
      for window in 0..<3 { try writer.add(window, table(window)) }
      try writer.finish()
      #expect(
        try ReadableFile.contents(of: folder + "/a") == ReadableFile.contents(of: folder + "/b")
      )
    }
  }

  @Test func aStoreOfSomethingElseIsRefused() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/t.safetensors"
      try store(path)
      func refusal(_ key: TeacherStoreKey) -> String? {
        message(in: folder) { _ = try TeacherStore(path, expecting: key) }
      }
      let remedy = "Give what it was made with, or remove it to have it made anew."
      func short(_ text: String) -> String { "\(digest(text))".prefix(12) + "…" }
      #expect(refusal(key()) == nil)
      #expect(
        refusal(key(teacher: "U"))
          == "t.safetensors: the teacher's tensors of the store: \(short("T")); of this run: \(short("U")). \(remedy)"
      )
      #expect(
        refusal(key(tokenizer: "W"))
          == "t.safetensors: the vocabulary of the store: \(short("V")); of this run: \(short("W")). \(remedy)"
      )
      #expect(
        refusal(key(k: 3))
          == "t.safetensors: the number of tokens stored for each place of the store: 2; of this run: 3. \(remedy)"
      )
      #expect(
        refusal(key(windows: windows.map { Array($0.dropLast()) }))
          == "t.safetensors: the length of windows of the store: 4; of this run: 3. \(remedy)"
      )
      var other = windows
      other[1][2] += 1
      #expect(refusal(key(windows: other))?.contains("the text of the store:") == true)
      #expect(refusal(key(windows: windows.dropLast()))?.contains("the number of windows") == true)
    }
  }

  @Test func damagedStoresAreRefused() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/t.safetensors"
      func rewrite(
        _ name: TensorName?,
        _ tensor: Tensor?,
        metadata change: (inout [String: String]) -> Void = { _ in }
      ) throws -> String? {
        try? FileManager.default.removeItem(atPath: path)
        try store(path)
        let reader = try SafetensorsReader(path)
        var tensors: [TensorName: Tensor] = [:]
        for own in reader.manifest.names { tensors[own] = try reader.tensor(own) }
        if let name { tensors[name] = tensor }
        var metadata = reader.manifest.metadata
        change(&metadata)
        try SafetensorsWriter(metadata: metadata, replacing: true)
          .write(MemorySource(tensors), to: path)
        return message(in: folder) {
          let store = try TeacherStore(path, expecting: key())
          for window in 0..<3 { _ = try store.window(window) }
        }
      }
      let remedy = "Give what it was made with, or remove it to have it made anew."
      var found: String?
      let damaged = "The file is damaged: remove it to have it made anew."
      found = try rewrite(nil, nil)
      #expect(found == nil)
      found = try rewrite(nil, nil) { $0["format"] = nil }
      #expect(
        found
          == "t.safetensors: the format is not named; a store of a teacher's probabilities says 'karat-teacher-1'. Choose another file."
      )
      found = try rewrite(nil, nil) { $0["temperature"] = "2" }
      #expect(found == "t.safetensors: the temperature of the store: 2; of this run: 1. \(remedy)")
      found = try rewrite("rest", nil)
      #expect(found == "t.safetensors: 'rest' is not there. \(remedy)")
      found = try rewrite("rest", Tensor(Array(repeating: 0, count: 9), shape: [3, 3]))
      #expect(
        found
          == "t.safetensors: 'rest' is F32 [3, 3]; what the store says of itself needs F32 [3, 4]. \(remedy)"
      )
      let many = Array(repeating: Float.nan, count: 12)
      found = try rewrite("rest", Tensor(many, shape: [3, 4]))
      #expect(found == "t.safetensors: window 0 holds what are no probabilities. \(damaged)")
      var logs = Array(repeating: Float16(-1), count: 24)
      logs[20] = 0.5
      found = try rewrite("log_probabilities", Tensor(.f16, [3, 4, 2], copying: logs))
      #expect(found == "t.safetensors: window 2 holds what are no probabilities. \(damaged)")
      var indices = Array(repeating: UInt16(1), count: 24)
      indices[9] = 50
      found = try rewrite("indices", Tensor(.u16, [3, 4, 2], copying: indices))
      #expect(found == "t.safetensors: window 1 names token 50; the teacher has 50. \(damaged)")
    }
  }

  @Test func whatCannotBeStoredIsNamed() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/t.safetensors"
      func refusal(_ windows: [[Int32]], k: Int = 2, _ body: (TeacherStoreWriter) throws -> Void)
        -> String?
      {
        message(in: folder) {
          try body(try TeacherStoreWriter(path, key(windows: windows, k: k), windows: windows))
        }
      }
      #expect(
        refusal([]) { _ in } == "t.safetensors: there are no windows to store. Give more text."
      )
      #expect(
        refusal([[1, 2], [3]]) { _ in }
          == "t.safetensors: window 1 has 1 tokens, and the first 2; a store's windows have one length. Leave the shorter ones out."
      )
      #expect(
        refusal(windows, k: 51) { _ in }
          == "t.safetensors: the 51 most likely tokens were asked for; the teacher gives 50. Ask for 1 to 50."
      )
      #expect(
        refusal(windows) {
          try $0.add(0, table(0))
          try $0.finish()
        } == "t.safetensors: window 1 of 3 has no probabilities; all are needed."
      )
      var wrong = table(0)
      wrong.logProbabilities[3] = .nan
      #expect(
        refusal(windows) { try $0.add(0, wrong) }
          == "t.safetensors: window 0: the teacher gives no probabilities."
      )
      #expect(!FileStatus.isThere(path))
    }
  }

  @Test func aTeacherIsStoredOnceAndReadAfterwards() throws {
    try inTemporaryFolder { folder in
      let teacher = try LoadedModel.open(fixture("alice"))
      let path = folder + "/alice.safetensors"
      let text = windows + [[1000, 17, 900, 3]]
      let store = try teacher.teacherStore(path, windows: text, k: 5)
      let bytes = try ReadableFile.contents(of: path)
      let executor = Executor(teacher.model)
      for (index, window) in text.enumerated() {
        let logits = try executor.logits(window).elements(as: Float.self)
        let (tokens, top) = try store.window(index)
        #expect(tokens == window)
        for token in window.indices {
          let row = logits[token * 1024..<(token + 1) * 1024].map(Double.init)
          let total = log(row.reduce(0) { $0 + exp($1) })
          let best = row.indices.sorted { (-row[$0], $0) < (-row[$1], $1) }
          #expect(Array(top.indices[token * 5..<token * 5 + 5]) == best.prefix(5).map(Int32.init))
          for place in 0..<5 {
            let expected = row[best[place]] - total
            let found = Double(top.logProbabilities[token * 5 + place])
            #expect(abs(found - expected) <= abs(expected) / 2048 + 1e-5)
          }
          let rest = best.dropFirst(5).reduce(0.0) { $0 + exp(row[$1] - total) }
          #expect(abs(Double(top.rest[token]) - rest) < 1e-5)
        }
      }
      // It is not made anew; block by block it would be the same.
      _ = try teacher.teacherStore(path, windows: text, k: 5)
      #expect(try ReadableFile.contents(of: path) == bytes)
      _ = try teacher.teacherStore(
        path + "2",
        windows: text,
        k: 5,
        threads: 3,
        memory: MemoryBudget(bytes: 64 << 20)
      )
      #expect(try ReadableFile.contents(of: path + "2") == bytes)
      #expect(
        message(in: folder) { _ = try teacher.teacherStore(path, windows: text, k: 6) }?
          .hasPrefix("alice.safetensors: the number of tokens stored for each place") == true
      )
    }
  }
}

@Suite struct SharedVocabularies {
  @Test func paddingIsNoMismatch() throws {
    try inTemporaryFolder { folder in
      let teacher = try LoadedModel.open(fixture("alice"))
      let tokens = try teacher.tokenizer().vocabularySize
      func student(_ rows: Int) throws -> LoadedModel {
        var edited = try EditedModel("alice")
        edited.config["vocab_size"] = .number(JSONNumber(rows))
        let table = try #require(edited.tensors["model.embed_tokens.weight"])
        let floats = table.elements(as: Float16.self)
        edited.tensors["model.embed_tokens.weight"] = Tensor(
          .f16,
          [rows, 128],
          copying: (0..<rows * 128).map { $0 < floats.count ? floats[$0] : 0 }
        )
        return try LoadedModel.open(try edited.write(to: folder + "/\(rows)"))
      }
      let same = try teacher.sharedVocabulary(with: teacher)
      #expect(same.tokens == tokens && same.teacherRows == 1024 && !same.isPaddedDifferently)
      let padded = try student(1088).sharedVocabulary(with: teacher)
      #expect(padded.tokens == tokens && padded.studentRows == 1088 && padded.isPaddedDifferently)
      let narrow = try student(tokens - 1)
      #expect(
        message(in: folder) { _ = try narrow.sharedVocabulary(with: teacher) }
          == "\(tokens - 1): the embedding has \(tokens - 1) rows, and the tokenizer ids up to \(tokens - 1). Put the tokenizer beside it that belongs to the model."
      )
    }
  }
}
